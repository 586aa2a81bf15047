// PPP in HDLC-like framing (RFC 1662): flags, escapes and the frame check sequence.

const FLAG = 0x7e
const ESCAPE = 0x7d
const FLIP = 0x20
const ADDRESS = 0xff
const CONTROL = 0x03
const POLYNOMIAL = 0x8408
const GOOD = 0xf0b8 // what the check over a whole frame gives
const SHORTEST = 4 // protocol and check
const LONGEST = 2048

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
  return value
})

export function checkSequence(bytes) {
  let value = 0xffff
  for (const byte of bytes) value = (value >>> 8) ^ TABLE[(value ^ byte) & 0xff]
  return value
}

// A frame as it goes over the line. All control characters are escaped, whatever was negotiated.
export function frame(protocol, payload) {
  const body = [ADDRESS, CONTROL, protocol >> 8, protocol & 0xff, ...payload]
  const check = checkSequence(body) ^ 0xffff
  body.push(check & 0xff, check >> 8)
  const line = [FLAG]
  for (const byte of body) {
    if (byte < 0x20 || byte === FLAG || byte === ESCAPE) line.push(ESCAPE, byte ^ FLIP)
    else line.push(byte)
  }
  line.push(FLAG)
  return Buffer.from(line)
}

// Finds the frames in a stream of bytes. Broken ones are counted and otherwise ignored.
export class Deframer {
  constructor(onFrame, counters) {
    this.onFrame = onFrame
    this.counters = counters
    this.reset()
  }

  reset() {
    this.bytes = []
    this.escaped = false
  }

  input(line) {
    for (const byte of line) {
      if (byte === FLAG) {
        this.end()
      } else if (byte === ESCAPE) {
        this.escaped = true
      } else if (this.bytes.length <= LONGEST) {
        this.bytes.push(this.escaped ? byte ^ FLIP : byte)
        this.escaped = false
      }
    }
  }

  end() {
    const { bytes, escaped } = this
    this.reset()
    if (bytes.length === 0) return
    // An escape before a flag is how a sender gives a frame up (section 4.3).
    if (escaped || bytes.length < SHORTEST || bytes.length > LONGEST || checkSequence(bytes) !== GOOD) {
      this.counters.malformed++
      return
    }
    let at = bytes[0] === ADDRESS && bytes[1] === CONTROL ? 2 : 0
    let protocol = bytes[at++]
    if (!(protocol & 1)) protocol = (protocol << 8) | bytes[at++]
    if (at > bytes.length - 2 || !(protocol & 1)) {
      this.counters.malformed++
      return
    }
    this.onFrame(protocol, Buffer.from(bytes.slice(at, -2)))
  }
}
