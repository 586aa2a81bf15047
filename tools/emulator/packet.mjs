// IPv4 (RFC 791) and UDP (RFC 768) packets: taken apart with all checks, and put together.

const IPV4_HEADER = 20
const UDP_HEADER = 8
const UDP = 17
const FRAGMENT = 0x3fff // more to come, or not the first
const HOPS = 64

// { from, fromPort, to, toPort, data }, or the name of the counter for what it is instead.
export function readUdp(packet) {
  if (packet.length < IPV4_HEADER || packet[0] >> 4 !== 4) return 'malformed'
  const header = (packet[0] & 15) * 4
  const total = packet.readUInt16BE(2)
  if (header < IPV4_HEADER || total < header || total > packet.length) return 'malformed'
  if (checksum(packet.subarray(0, header)) !== 0) return 'malformed'
  if (packet[9] !== UDP || packet.readUInt16BE(6) & FRAGMENT) return 'unserved'
  const udp = packet.subarray(header, total)
  if (udp.length < UDP_HEADER) return 'malformed'
  const length = udp.readUInt16BE(4)
  if (length < UDP_HEADER || length > udp.length) return 'malformed'
  if (udp.readUInt16BE(6) !== 0) {
    const pseudo = Buffer.concat([packet.subarray(12, 20), Buffer.from([0, UDP, udp[4], udp[5]])])
    if (checksum(Buffer.concat([pseudo, udp.subarray(0, length)])) !== 0) return 'malformed'
  }
  return {
    from: [...packet.subarray(12, 16)].join('.'),
    to: [...packet.subarray(16, 20)].join('.'),
    fromPort: udp.readUInt16BE(0),
    toPort: udp.readUInt16BE(2),
    data: Buffer.from(udp.subarray(UDP_HEADER, length)),
  }
}

export function writeUdp({ from, fromPort, to, toPort, data }, identifier) {
  const packet = Buffer.alloc(IPV4_HEADER + UDP_HEADER + data.length)
  packet[0] = 0x45
  packet.writeUInt16BE(packet.length, 2)
  packet.writeUInt16BE(identifier & 0xffff, 4)
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
  const pseudo = Buffer.concat([packet.subarray(12, 20), Buffer.from([0, UDP, udp[4], udp[5]])])
  udp.writeUInt16BE(checksum(Buffer.concat([pseudo, udp])) || 0xffff, 6)
  return packet
}

// RFC 1071; 0 over bytes that contain their own right checksum.
export function checksum(bytes) {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0)
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16)
  return ~sum & 0xffff
}
