// The network behind the PPP peer: this computer's loopback, seen by the node as 10.0.0.x.
//
// 127.0.0.1 is 10.0.0.1 to the node; other addresses of this computer get numbers as they turn up.
// Each UDP port of the node has one socket here, so what it sends comes from one place, requests
// and responses alike; the socket of its CoAP port listens on a port that the host chose.

import dgram from 'node:dgram'
import { readUdp, writeUdp } from './packet.mjs'

export const GUEST = [10, 0, 0, 2]
export const HOST = [10, 0, 0, 1]
const NET = '10.0.0.'
const FIRST_OTHER = 16
const LAST_OTHER = 254
const MOST_SOCKETS = 64

export class Nat {
  // send(packet) gives an IPv4 packet to the node; input(happen) does so at the right moment.
  constructor({ send, input, onTrouble }) {
    Object.assign(this, { send, input, onTrouble })
    this.counters = { malformed: 0, unserved: 0, toGuest: 0, toHost: 0, lost: 0 }
    this.sockets = new Map() // by the node's port
    this.insideOf = new Map([['127.0.0.1', HOST.join('.')]])
    this.outsideOf = new Map([[HOST.join('.'), '127.0.0.1']])
    this.nextOther = FIRST_OTHER
    this.identifier = 0
  }

  // Opens `port` of `address` for datagrams to `guestPort`; resolves to the port that it got.
  redirect(address, port, guestPort) {
    return new Promise((resolve, reject) => {
      const socket = this.makeSocket(guestPort)
      socket.kept = true
      socket.once('error', reject)
      socket.bind(port, address, () => {
        socket.off('error', reject)
        socket.on('error', (error) => this.onTrouble(error.message))
        resolve(socket.address().port)
      })
    })
  }

  // An IPv4 packet from the node.
  take(packet) {
    const found = readUdp(packet)
    if (typeof found === 'string') {
      this.counters[found]++
      return
    }
    const address = this.outsideOf.get(found.to)
    if (found.from !== GUEST.join('.') || address === undefined || found.toPort === 0) {
      this.counters.unserved++
      return
    }
    this.counters.toHost++
    this.socketOf(found.fromPort).send(found.data, found.toPort, address, (error) => {
      if (error) this.counters.lost++
    })
  }

  socketOf(guestPort) {
    let socket = this.sockets.get(guestPort)
    if (socket === undefined) {
      socket = this.makeSocket(guestPort)
      socket.on('error', () => this.counters.lost++)
      socket.bind(0, '127.0.0.1')
    }
    return socket
  }

  makeSocket(guestPort) {
    const socket = dgram.createSocket('udp4')
    socket.on('message', (data, from) => {
      const inside = this.inside(from.address)
      if (inside === null) {
        this.counters.lost++
        return
      }
      const to = GUEST.join('.')
      const datagram = { from: inside, fromPort: from.port, to, toPort: guestPort, data }
      this.input(() => {
        const sent = this.send(writeUdp(datagram, this.identifier++))
        this.counters[sent ? 'toGuest' : 'lost']++
      })
    })
    this.sockets.set(guestPort, socket)
    this.forget()
    return socket
  }

  // The node's name for an address of this computer; null when it has had too many.
  inside(address) {
    let inside = this.insideOf.get(address)
    if (inside === undefined) {
      if (this.nextOther > LAST_OTHER) return null
      inside = NET + this.nextOther++
      this.insideOf.set(address, inside)
      this.outsideOf.set(inside, address)
    }
    return inside
  }

  forget() {
    for (const [port, socket] of this.sockets) {
      if (this.sockets.size <= MOST_SOCKETS) return
      if (socket.kept) continue
      this.sockets.delete(port)
      socket.close()
    }
  }
}
