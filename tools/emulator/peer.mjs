// The PPP peer of a node: LCP (RFC 1661), IPCP (RFC 1332); what else it offers is rejected.
//
// It waits to be called, so it has no timers: each request of the node brings the peer's own again
// as long as that is not acknowledged.

import { Deframer, frame } from './framing.mjs'

const LCP = 0xc021
const IPCP = 0x8021
const IPV4 = 0x0021
const REQUEST = 1
const ACK = 2
const NAK = 3
const REJECT = 4
const TERMINATE_REQUEST = 5
const TERMINATE_ACK = 6
const CODE_REJECT = 7
const PROTOCOL_REJECT = 8
const ECHO_REQUEST = 9
const ECHO_REPLY = 10
const DISCARD = 11
const LCP_TAKEN = [1, 2, 5] // options: MRU, control character map, magic number
const CHARACTER_MAP = [2, 6, 0, 0, 0, 0] // nothing needs an escape on the way here
const IP_ADDRESS = 3

export class Peer {
  // write(bytes) puts them on the line; onPacket(bytes) gets the IPv4 packets of the node.
  constructor({ guest, host, write, onPacket, onUp, onDown }) {
    Object.assign(this, { guest, host, write, onPacket, onUp, onDown })
    this.counters = { malformed: 0, rejected: 0, unexpected: 0 }
    this.deframer = new Deframer((protocol, payload) => this.take(protocol, payload), this.counters)
    this.identifier = 0
    this.restart()
  }

  // The node was reset: the line is dead until it calls again.
  restart() {
    this.deframer.reset()
    this.lcp = { acked: false, acking: false, options: CHARACTER_MAP }
    this.ipcp = { acked: false, acking: false, options: [IP_ADDRESS, 6, ...this.host] }
    if (this.up) this.onDown()
    this.up = false
  }

  input(bytes) {
    this.deframer.input(bytes)
  }

  // Sends an IPv4 packet; false while there is no link.
  send(packet) {
    if (this.up) this.write(frame(IPV4, packet))
    return this.up
  }

  take(protocol, payload) {
    if (protocol === LCP) this.control(LCP, this.lcp, payload)
    else if (!this.linked(this.lcp)) this.counters.unexpected++
    else if (protocol === IPCP) this.control(IPCP, this.ipcp, payload)
    else if (protocol !== IPV4) this.reject(protocol, payload)
    else if (this.up) this.onPacket(payload)
    else this.counters.unexpected++
  }

  reject(protocol, payload) {
    this.counters.rejected++
    this.say(LCP, PROTOCOL_REJECT, this.next(), [protocol >> 8, protocol & 0xff, ...payload])
  }

  linked(layer) {
    return layer.acked && layer.acking
  }

  control(protocol, layer, packet) {
    const length = packet.length < 4 ? 0 : packet.readUInt16BE(2)
    if (length < 4 || length > packet.length) {
      this.counters.malformed++
      return
    }
    const [code, identifier] = packet
    const data = packet.subarray(4, length)
    if (code === REQUEST) {
      this.requested(protocol, layer, identifier, data)
    } else if (code === ACK) {
      layer.acked = true
    } else if (code === NAK || code === REJECT) {
      layer.options = [] // the node does without
      this.ask(protocol, layer)
    } else if (code === TERMINATE_REQUEST) {
      this.say(protocol, TERMINATE_ACK, identifier, data)
      if (protocol === LCP) this.restart()
      else layer.acked = layer.acking = false
    } else if (protocol === LCP && code === ECHO_REQUEST) {
      // The magic number of this side is zero: none was negotiated (section 5.8).
      if (this.linked(layer)) this.say(LCP, ECHO_REPLY, identifier, [0, 0, 0, 0, ...data.subarray(4)])
    } else if (![TERMINATE_ACK, CODE_REJECT, PROTOCOL_REJECT, ECHO_REPLY, DISCARD].includes(code)) {
      this.counters.rejected++
      this.say(protocol, CODE_REJECT, this.next(), packet.subarray(0, length))
    }
    this.settle()
  }

  requested(protocol, layer, identifier, data) {
    const options = split(data)
    if (options === null) {
      this.counters.malformed++
      return
    }
    if (this.linked(layer)) {
      // It starts over; so must this side, and what runs above.
      layer.acked = layer.acking = false
      if (protocol === LCP) this.restart()
    }
    const [code, answer] = protocol === LCP ? this.judgeLcp(options) : this.judgeIpcp(options)
    this.say(protocol, code, identifier, answer)
    layer = protocol === LCP ? this.lcp : this.ipcp
    layer.acking = code === ACK
    if (!layer.acked) this.ask(protocol, layer)
  }

  judgeLcp(options) {
    const refused = options.filter((option) => !LCP_TAKEN.includes(option[0]))
    return refused.length ? [REJECT, refused.flat()] : [ACK, options.flat()]
  }

  judgeIpcp(options) {
    const refused = options.filter((option) => option[0] !== IP_ADDRESS || option.length !== 6)
    if (refused.length) return [REJECT, refused.flat()]
    const wanted = [IP_ADDRESS, 6, ...this.guest]
    const good = options.length === 1 && options[0].every((byte, i) => byte === wanted[i])
    return good ? [ACK, wanted] : [NAK, wanted]
  }

  ask(protocol, layer) {
    this.say(protocol, REQUEST, this.next(), layer.options)
  }

  settle() {
    const up = this.linked(this.lcp) && this.linked(this.ipcp)
    if (up === this.up) return
    this.up = up
    if (up) this.onUp()
    else this.onDown()
  }

  next() {
    this.identifier = (this.identifier + 1) & 0xff
    return this.identifier
  }

  say(protocol, code, identifier, data) {
    const length = 4 + data.length
    this.write(frame(protocol, [code, identifier, length >> 8, length & 0xff, ...data]))
  }
}

// The options of a Configure packet, each with its type and length; null when they are broken.
function split(data) {
  const options = []
  for (let at = 0; at < data.length; at += data[at + 1]) {
    if (at + 2 > data.length || data[at + 1] < 2 || at + data[at + 1] > data.length) return null
    options.push([...data.subarray(at, at + data[at + 1])])
  }
  return options
}
