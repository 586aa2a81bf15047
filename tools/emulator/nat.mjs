// Network address translation between a node behind the PPP link and UDP sockets of this computer.
//
// To the node, 127.0.0.1 is 10.0.0.1; other addresses of this computer get numbers as they occur.
// Each UDP port of the node has one socket here, so all of its datagrams, requests and responses
// alike, come from one address. The socket of its CoAP port is bound to a port of choice.
// IPv4 is RFC 791, UDP RFC 768, the checksum RFC 1071.

import dgram from 'node:dgram'

export const GUEST = [10, 0, 0, 2]
export const HOST = [10, 0, 0, 1]
const NET = '10.0.0.'
const FIRST_OTHER = 16
const LAST_OTHER = 254
const MAX_SOCKETS = 64
const IPV4_HEADER = 20
const UDP_HEADER = 8
const UDP = 17
const FRAGMENT = 0x3fff // more fragments follow, or this is not the first
const HOPS = 64

export class Nat {
  // send(packet): sends an IPv4 packet to the node. input(action): runs `action` at the right
  // moment of the node's time. onTrouble(text): gets the errors of the bound socket.
  constructor({ send, input, onTrouble }) {
    Object.assign(this, { send, input, onTrouble })
    this.sockets = new Map() // by the node's port
    this.insideOf = new Map([['127.0.0.1', HOST.join('.')]])
    this.outsideOf = new Map([[HOST.join('.'), '127.0.0.1']])
    this.nextOther = FIRST_OTHER
    this.identification = 0
  }

  // Binds `port` of `address` for datagrams to `guestPort`; resolves to the bound port.
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

  // Forwards an IPv4 packet of the node; drops it when it is no UDP datagram to this computer.
  receive(packet) {
    const datagram = readUdp(packet)
    const address = datagram && this.outsideOf.get(datagram.to)
    if (!address || datagram.from !== GUEST.join('.') || datagram.toPort === 0) return
    this.socketOf(datagram.fromPort).send(datagram.data, datagram.toPort, address, () => {})
  }

  socketOf(guestPort) {
    let socket = this.sockets.get(guestPort)
    if (socket === undefined) {
      socket = this.makeSocket(guestPort)
      socket.on('error', () => {}) // the datagram is lost
      socket.bind(0, '127.0.0.1')
    }
    return socket
  }

  makeSocket(guestPort) {
    const socket = dgram.createSocket('udp4')
    socket.on('message', (data, sender) => {
      const from = this.inside(sender.address)
      if (from === null) return
      const to = GUEST.join('.')
      const datagram = { from, fromPort: sender.port, to, toPort: guestPort, data }
      this.input(() => this.send(writeUdp(datagram, this.identification++)))
    })
    this.sockets.set(guestPort, socket)
    this.closeOldSockets()
    return socket
  }

  // Returns the node's address for one of this computer; null when all numbers are in use.
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

  closeOldSockets() {
    for (const [port, socket] of this.sockets) {
      if (this.sockets.size <= MAX_SOCKETS) return
      if (socket.kept) continue
      this.sockets.delete(port)
      socket.close()
    }
  }
}

// Returns { from, fromPort, to, toPort, data }, or null for other and malformed packets.
function readUdp(packet) {
  if (packet.length < IPV4_HEADER || packet[0] >> 4 !== 4) return null
  const header = (packet[0] & 15) * 4
  const total = packet.readUInt16BE(2)
  if (header < IPV4_HEADER || total < header || total > packet.length) return null
  if (checksum(packet.subarray(0, header)) !== 0) return null
  if (packet[9] !== UDP || packet.readUInt16BE(6) & FRAGMENT) return null
  const udp = packet.subarray(header, total)
  if (udp.length < UDP_HEADER) return null
  const length = udp.readUInt16BE(4)
  if (length < UDP_HEADER || length > udp.length) return null
  const withoutChecksum = udp.readUInt16BE(6) === 0
  if (!withoutChecksum && udpChecksum(packet, udp.subarray(0, length)) !== 0) return null
  return {
    from: [...packet.subarray(12, 16)].join('.'),
    to: [...packet.subarray(16, 20)].join('.'),
    fromPort: udp.readUInt16BE(0),
    toPort: udp.readUInt16BE(2),
    data: Buffer.from(udp.subarray(UDP_HEADER, length)),
  }
}

// Returns the IPv4 packet with a UDP datagram.
function writeUdp({ from, fromPort, to, toPort, data }, identification) {
  const packet = Buffer.alloc(IPV4_HEADER + UDP_HEADER + data.length)
  packet[0] = 0x45
  packet.writeUInt16BE(packet.length, 2)
  packet.writeUInt16BE(identification & 0xffff, 4)
  packet[8] = HOPS
  packet[9] = UDP
  Buffer.from(from.split('.').map(Number)).copy(packet, 12)
  Buffer.from(to.split('.').map(Number)).copy(packet, 16)
  packet.writeUInt16BE(checksum(packet.subarray(0, IPV4_HEADER)), 10)
  const udp = packet.subarray(IPV4_HEADER)
  udp.writeUInt16BE(fromPort, 0)
  udp.writeUInt16BE(toPort, 2)
  udp.writeUInt16BE(udp.length, 4)
  data.copy(udp, UDP_HEADER)
  udp.writeUInt16BE(udpChecksum(packet, udp) || 0xffff, 6)
  return packet
}

// Returns the checksum over the pseudo header and the datagram.
function udpChecksum(packet, udp) {
  return checksum(Buffer.concat([packet.subarray(12, 20), Buffer.from([0, UDP, udp[4], udp[5]]), udp]))
}

// Returns the internet checksum; 0 over bytes that include their own correct one.
function checksum(bytes) {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0)
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16)
  return ~sum & 0xffff
}
