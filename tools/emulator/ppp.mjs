// The PPP peer of a node: HDLC-like framing (RFC 1662), LCP (RFC 1661), IPCP (RFC 1332).
//
// The peer rejects every other protocol and option. It never opens a link itself, so it has no
// timers: it repeats its own Configure-Request after each one of the node until the node accepts.

const FLAG = 0x7e
const ESCAPE = 0x7d
const ESCAPE_XOR = 0x20
const ADDRESS = 0xff
const CONTROL = 0x03
const FCS_POLYNOMIAL = 0x8408
const FCS_GOOD = 0xf0b8 // the check sequence over a frame that includes its own
const MIN_FRAME_BYTES = 4 // protocol and check sequence
const MAX_FRAME_BYTES = 2048

const LCP = 0xc021
const IPCP = 0x8021
const IPV4 = 0x0021
// Packet codes
const CONFIGURE_REQUEST = 1
const CONFIGURE_ACK = 2
const CONFIGURE_NAK = 3
const CONFIGURE_REJECT = 4
const TERMINATE_REQUEST = 5
const TERMINATE_ACK = 6
const CODE_REJECT = 7
const PROTOCOL_REJECT = 8
const ECHO_REQUEST = 9
const ECHO_REPLY = 10
const DISCARD_REQUEST = 11
const IGNORED_CODES = [TERMINATE_ACK, CODE_REJECT, PROTOCOL_REJECT, ECHO_REPLY, DISCARD_REQUEST]
// Options
const ACCEPTED_LCP_OPTIONS = [1, 2, 5] // MRU, control character map, magic number
const CHARACTER_MAP = [2, 6, 0, 0, 0, 0] // the node need not escape control characters
const IP_ADDRESS = 3

const FCS_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ FCS_POLYNOMIAL : value >>> 1
  return value
})

// Returns the frame check sequence of bytes (RFC 1662, appendix C), not yet inverted.
function checkSequence(bytes) {
  let value = 0xffff
  for (const byte of bytes) value = (value >>> 8) ^ FCS_TABLE[(value ^ byte) & 0xff]
  return value
}

// Returns a frame as bytes for the line. All control characters are escaped, whatever was agreed.
function frame(protocol, payload) {
  const body = [ADDRESS, CONTROL, protocol >> 8, protocol & 0xff, ...payload]
  const check = checkSequence(body) ^ 0xffff
  body.push(check & 0xff, check >> 8)
  const line = [FLAG]
  for (const byte of body) {
    if (byte < 0x20 || byte === FLAG || byte === ESCAPE) line.push(ESCAPE, byte ^ ESCAPE_XOR)
    else line.push(byte)
  }
  line.push(FLAG)
  return Buffer.from(line)
}

// Finds frames in a stream of bytes and calls onFrame(protocol, payload) for each intact one.
class Deframer {
  constructor(onFrame, counters) {
    this.onFrame = onFrame
    this.counters = counters
    this.reset()
  }

  // Forgets an incomplete frame.
  reset() {
    this.bytes = []
    this.escaped = false
  }

  // Takes bytes from the line.
  input(line) {
    for (const byte of line) {
      if (byte === FLAG) {
        this.endFrame()
      } else if (byte === ESCAPE) {
        this.escaped = true
      } else if (this.bytes.length <= MAX_FRAME_BYTES) {
        this.bytes.push(this.escaped ? byte ^ ESCAPE_XOR : byte)
        this.escaped = false
      }
    }
  }

  endFrame() {
    const { bytes, escaped } = this
    const { length } = bytes
    this.reset()
    if (length === 0) return
    let start = bytes[0] === ADDRESS && bytes[1] === CONTROL ? 2 : 0
    let protocol = bytes[start++]
    if (!(protocol & 1)) protocol = (protocol << 8) | bytes[start++] // one byte when it is odd
    // A sender aborts a frame by an escape before the flag (RFC 1662, section 4.3).
    const intact = !escaped && length >= MIN_FRAME_BYTES && length <= MAX_FRAME_BYTES
    if (!intact || checkSequence(bytes) !== FCS_GOOD || start > length - 2 || !(protocol & 1)) {
      this.counters.malformed++
      return
    }
    this.onFrame(protocol, Buffer.from(bytes.slice(start, -2)))
  }
}

export class Peer {
  // guest, host: IPv4 addresses of the node and of this side, arrays of four numbers.
  // write(bytes): sends to the node. onPacket(bytes): gets each IPv4 packet of the node.
  // onUp(), onDown(): are called when the link opens and closes.
  constructor({ guest, host, write, onPacket, onUp, onDown }) {
    Object.assign(this, { guest, host, write, onPacket, onUp, onDown })
    this.counters = { malformed: 0, rejected: 0, unexpected: 0 }
    this.deframer = new Deframer((protocol, payload) => this.receive(protocol, payload), this.counters)
    this.identifier = 0
    this.reset()
  }

  // Closes the link, as after a reset of the node.
  reset() {
    this.deframer.reset()
    // ours: the node accepted this side's options; theirs: this side accepted those of the node.
    this.lcp = { ours: false, theirs: false, options: CHARACTER_MAP }
    this.ipcp = { ours: false, theirs: false, options: [IP_ADDRESS, 6, ...this.host] }
    if (this.up) this.onDown()
    this.up = false
  }

  // Takes bytes from the node.
  input(bytes) {
    this.deframer.input(bytes)
  }

  // Sends an IPv4 packet to the node; returns false while the link is closed.
  send(packet) {
    if (this.up) this.write(frame(IPV4, packet))
    return this.up
  }

  receive(protocol, payload) {
    if (protocol === LCP) {
      this.receiveControl(LCP, this.lcp, payload)
    } else if (!isOpen(this.lcp)) {
      this.counters.unexpected++
    } else if (protocol === IPCP) {
      this.receiveControl(IPCP, this.ipcp, payload)
    } else if (protocol !== IPV4) {
      this.counters.rejected++
      this.sendControl(LCP, PROTOCOL_REJECT, this.nextIdentifier(), [protocol >> 8, protocol & 0xff, ...payload])
    } else if (this.up) {
      this.onPacket(payload)
    } else {
      this.counters.unexpected++
    }
  }

  // Handles a packet of LCP or IPCP; `layer` is this side's state of that protocol.
  receiveControl(protocol, layer, packet) {
    const length = packet.length < 4 ? 0 : packet.readUInt16BE(2)
    if (length < 4 || length > packet.length) {
      this.counters.malformed++
      return
    }
    const [code, identifier] = packet
    const data = packet.subarray(4, length)
    if (code === CONFIGURE_REQUEST) {
      this.receiveRequest(protocol, layer, identifier, data)
    } else if (code === CONFIGURE_ACK) {
      layer.ours = true
    } else if (code === CONFIGURE_NAK || code === CONFIGURE_REJECT) {
      layer.options = []
      this.sendRequest(protocol, layer)
    } else if (code === TERMINATE_REQUEST) {
      this.sendControl(protocol, TERMINATE_ACK, identifier, data)
      if (protocol === LCP) this.reset()
      else layer.ours = layer.theirs = false
    } else if (protocol === LCP && code === ECHO_REQUEST) {
      // This side negotiated no magic number, so it sends zero (RFC 1661, section 5.8).
      if (isOpen(layer)) this.sendControl(LCP, ECHO_REPLY, identifier, [0, 0, 0, 0, ...data.subarray(4)])
    } else if (!IGNORED_CODES.includes(code)) {
      this.counters.rejected++
      this.sendControl(protocol, CODE_REJECT, this.nextIdentifier(), packet.subarray(0, length))
    }
    const up = isOpen(this.lcp) && isOpen(this.ipcp)
    if (up === this.up) return
    this.up = up
    if (up) this.onUp()
    else this.onDown()
  }

  receiveRequest(protocol, layer, identifier, data) {
    const options = splitOptions(data)
    if (options === null) {
      this.counters.malformed++
      return
    }
    if (isOpen(layer)) {
      // The node negotiates again: this layer and those above it start again, too.
      layer.ours = layer.theirs = false
      if (protocol === LCP) this.reset()
    }
    const [code, reply] = protocol === LCP ? judgeLcp(options) : this.judgeIpcp(options)
    this.sendControl(protocol, code, identifier, reply)
    layer = protocol === LCP ? this.lcp : this.ipcp
    layer.theirs = code === CONFIGURE_ACK
    if (!layer.ours) this.sendRequest(protocol, layer)
  }

  judgeIpcp(options) {
    const refused = options.filter((option) => option[0] !== IP_ADDRESS || option.length !== 6)
    if (refused.length) return [CONFIGURE_REJECT, refused.flat()]
    const wanted = [IP_ADDRESS, 6, ...this.guest]
    const good = options.length === 1 && options[0].every((byte, i) => byte === wanted[i])
    return [good ? CONFIGURE_ACK : CONFIGURE_NAK, wanted]
  }

  sendRequest(protocol, layer) {
    this.sendControl(protocol, CONFIGURE_REQUEST, this.nextIdentifier(), layer.options)
  }

  nextIdentifier() {
    this.identifier = (this.identifier + 1) & 0xff
    return this.identifier
  }

  sendControl(protocol, code, identifier, data) {
    const length = 4 + data.length
    this.write(frame(protocol, [code, identifier, length >> 8, length & 0xff, ...data]))
  }
}

// Returns true when both sides have accepted each other's options.
function isOpen(layer) {
  return layer.ours && layer.theirs
}

function judgeLcp(options) {
  const refused = options.filter((option) => !ACCEPTED_LCP_OPTIONS.includes(option[0]))
  return refused.length ? [CONFIGURE_REJECT, refused.flat()] : [CONFIGURE_ACK, options.flat()]
}

// Returns the options of a Configure packet, each with its type and length; null when malformed.
function splitOptions(data) {
  const options = []
  for (let at = 0; at < data.length; at += data[at + 1]) {
    if (at + 2 > data.length || data[at + 1] < 2 || at + data[at + 1] > data.length) return null
    options.push([...data.subarray(at, at + data[at + 1])])
  }
  return options
}
