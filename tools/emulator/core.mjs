// The processor, a Cortex-M0+: a fast interpreter of the frequent instructions (ARMv6-M, A5.2).
//
// rp2040js compares each instruction with seventy patterns in turn, searches the kind of memory
// for each address, and advances the clock after each instruction. Here the upper six bits select
// an instruction, memory comes before peripherals, and the clock advances once for a stretch of
// instructions, which ends at an alarm or an access to a peripheral. rp2040js still executes the
// rest: rare instructions, other addresses, exceptions. Instructions take the same cycles as there.
//
// Differences, where rp2040js is wrong: the overflow flag of ADCS and SBCS when the carry raises an
// operand over 0x7fffffff, the carry flag of a shift by a register that holds 0 and of LSLS by more
// than 32, and BLX LR, which reads LR before it writes it.

const CYCLE_NANOS = 8 // 125 MHz
const MAX_CYCLES = 20000 // of one call, so that the caller can do other work
const FLASH = 0x10 // upper byte of addresses
const SRAM = 0x20
const OFFSET_MASK = 0xffffff // the other bits of an address
const EXCEPTION_RETURN = 0xf // upper four bits of such an address
const SP = 13
const LR = 14
const PC = 15
const NOP = 0xbf00
const BIT_COUNTS = Uint8Array.from({ length: 256 }, (_, bits) => bits.toString(2).replaceAll('0', '').length)

// Returns a function that runs the chip for a while, at most until a moment of its clock in ns.
export function makeCore(chip) {
  const { core, clock } = chip
  const r = new Int32Array(core.registers.buffer)
  const [sram8, sram16, sram32] = views(chip.sram)
  const [flash8, flash16, flash32] = views(chip.flash)
  const [rom8, rom16, rom32] = views(chip.bootrom)
  const sramBytes = sram8.length
  const romBytes = rom8.length
  let outside = false // the instruction is left to rp2040js

  const load32 = (address) => {
    const at = address & OFFSET_MASK
    if (address & 3) outside = true
    else if (address >>> 24 === SRAM && at < sramBytes) return sram32[at >> 2]
    else if (address >>> 24 === FLASH) return flash32[at >> 2]
    else if (address >>> 0 < romBytes) return rom32[at >> 2]
    outside = true
    return 0
  }
  const load16 = (address) => {
    const at = address & OFFSET_MASK
    if (address & 1) outside = true
    else if (address >>> 24 === SRAM && at < sramBytes) return sram16[at >> 1]
    else if (address >>> 24 === FLASH) return flash16[at >> 1]
    else if (address >>> 0 < romBytes) return rom16[at >> 1]
    outside = true
    return 0
  }
  const load8 = (address) => {
    const at = address & OFFSET_MASK
    if (address >>> 24 === SRAM && at < sramBytes) return sram8[at]
    if (address >>> 24 === FLASH) return flash8[at]
    if (address >>> 0 < romBytes) return rom8[at]
    outside = true
    return 0
  }
  // Returns the offset in SRAM of an access; `odd` are the bits that alignment requires to be 0.
  const inSram = (address, bytes, odd) => {
    const at = address & OFFSET_MASK
    if (address & odd || address >>> 24 !== SRAM || at + bytes > sramBytes) outside = true
    return at
  }

  // Runs `most` cycles, or until an instruction that is left to rp2040js; returns the cycles.
  const work = (most) => {
    let cycles = 0
    let pc = r[PC] & ~1
    let nz = core.Z ? 0 : core.N ? -1 : 1 // the last result, from which flags N and Z follow
    let c = core.C ? 1 : 0
    let v = core.V ? 1 : 0
    outside = false
    while (cycles < most) {
      let code
      const where = pc & OFFSET_MASK
      if (pc >>> 24 === FLASH) code = flash16
      else if (pc >>> 24 === SRAM && where < sramBytes) code = sram16
      else if (pc >>> 0 < romBytes) code = rom16
      else break
      const op = code[where >> 1]
      const low = op & 7
      const middle = (op >> 3) & 7
      const high = (op >> 8) & 7
      let next = pc + 2
      let took = 1
      let a = 0
      let b = 0
      let value = 0
      switch (op >> 10) {
        case 0x00: // LSLS (immediate)
        case 0x01:
          a = r[middle]
          b = (op >> 6) & 31
          if (b) c = (a >>> (32 - b)) & 1
          r[low] = nz = a << b
          break
        case 0x02: // LSRS (immediate)
        case 0x03:
          a = r[middle]
          b = (op >> 6) & 31
          c = b ? (a >>> (b - 1)) & 1 : a >>> 31
          r[low] = nz = b ? a >>> b : 0
          break
        case 0x04: // ASRS (immediate)
        case 0x05:
          a = r[middle]
          b = (op >> 6) & 31
          c = b ? (a >>> (b - 1)) & 1 : a >>> 31
          r[low] = nz = b ? a >> b : a >> 31
          break
        case 0x06: // ADDS, SUBS (register)
        case 0x07: // ADDS, SUBS (3-bit immediate)
          a = r[middle]
          b = op & 0x400 ? (op >> 6) & 7 : r[(op >> 6) & 7]
          if (op & 0x200) {
            nz = (a - b) | 0
            c = a >>> 0 >= b >>> 0 ? 1 : 0
            v = ((a ^ b) & (a ^ nz)) >>> 31
          } else {
            nz = (a + b) | 0
            c = nz >>> 0 < a >>> 0 ? 1 : 0
            v = ((a ^ nz) & (b ^ nz)) >>> 31
          }
          r[low] = nz
          break
        case 0x08: // MOVS (8-bit immediate)
        case 0x09:
          r[high] = nz = op & 0xff
          break
        case 0x0a: // CMP (8-bit immediate)
        case 0x0b:
        case 0x0e: // SUBS (8-bit immediate)
        case 0x0f:
          a = r[high]
          b = op & 0xff
          nz = (a - b) | 0
          c = a >>> 0 >= b ? 1 : 0
          v = ((a ^ b) & (a ^ nz)) >>> 31
          if (op & 0x1000) r[high] = nz
          break
        case 0x0c: // ADDS (8-bit immediate)
        case 0x0d:
          a = r[high]
          nz = (a + (op & 0xff)) | 0
          c = nz >>> 0 < a >>> 0 ? 1 : 0
          v = (~a & nz) >>> 31
          r[high] = nz
          break
        case 0x10: // data processing of two low registers
          a = r[low]
          b = r[middle]
          switch ((op >> 6) & 15) {
            case 0: // ANDS
              r[low] = nz = a & b
              break
            case 1: // EORS
              r[low] = nz = a ^ b
              break
            case 2: // LSLS
              b &= 0xff
              if (b) c = b > 32 ? 0 : (a >>> (32 - b)) & 1
              r[low] = nz = b > 31 ? 0 : a << b
              break
            case 3: // LSRS
              b &= 0xff
              if (b) c = b > 32 ? 0 : (a >>> (b - 1)) & 1
              r[low] = nz = b > 31 ? 0 : (a >>> b) | 0
              break
            case 4: // ASRS
              b &= 0xff
              if (b) c = b > 31 ? a >>> 31 : (a >>> (b - 1)) & 1
              r[low] = nz = b > 31 ? a >> 31 : a >> b
              break
            case 5: // ADCS
              value = (a >>> 0) + (b >>> 0) + c
              nz = value | 0
              c = value > 0xffffffff ? 1 : 0
              v = ((a ^ nz) & (b ^ nz)) >>> 31
              r[low] = nz
              break
            case 6: // SBCS
              value = (a >>> 0) - (b >>> 0) - 1 + c
              nz = value | 0
              c = value < 0 ? 0 : 1
              v = ((a ^ b) & (a ^ nz)) >>> 31
              r[low] = nz
              break
            case 7: // RORS
              b &= 0xff
              nz = (a >>> (b & 31)) | (a << (32 - (b & 31)))
              if (b) c = nz >>> 31
              r[low] = nz
              break
            case 8: // TST
              nz = a & b
              break
            case 9: // RSBS
              nz = -b | 0
              c = b ? 0 : 1
              v = (b & nz) >>> 31
              r[low] = nz
              break
            case 10: // CMP
              nz = (a - b) | 0
              c = a >>> 0 >= b >>> 0 ? 1 : 0
              v = ((a ^ b) & (a ^ nz)) >>> 31
              break
            case 11: // CMN
              nz = (a + b) | 0
              c = nz >>> 0 < a >>> 0 ? 1 : 0
              v = ((a ^ nz) & (b ^ nz)) >>> 31
              break
            case 12: // ORRS
              r[low] = nz = a | b
              break
            case 13: // MULS
              r[low] = nz = Math.imul(a, b)
              break
            case 14: // BICS
              r[low] = nz = a & ~b
              break
            case 15: // MVNS
              r[low] = nz = ~b
              break
          }
          break
        case 0x11: { // data processing and branches with any register
          const to = ((op >> 4) & 8) | low
          const from = (op >> 3) & 15
          b = from === PC ? pc + 4 : r[from]
          switch ((op >> 8) & 3) {
            case 0: // ADD
            case 2: // MOV
              value = op & 0x200 ? b : ((to === PC ? pc + 4 : r[to]) + b) | 0
              if (to === PC) {
                next = value & ~1
                took = 2
              } else {
                r[to] = to === SP ? value & ~3 : value
              }
              break
            case 1: // CMP
              if (to === PC || from === PC) outside = true
              a = r[to]
              if (outside) break
              nz = (a - b) | 0
              c = a >>> 0 >= b >>> 0 ? 1 : 0
              v = ((a ^ b) & (a ^ nz)) >>> 31
              break
            case 3: // BX, BLX
              if (low || from === PC || (!(op & 0x80) && b >>> 28 === EXCEPTION_RETURN)) {
                outside = true
                break
              }
              if (op & 0x80) r[LR] = next | 1
              next = b & ~1
              took = 2
              break
          }
          break
        }
        case 0x12: // LDR (literal)
        case 0x13:
          value = load32(((pc + 4) & ~3) + ((op & 0xff) << 2))
          if (outside) break
          r[high] = value
          took = 2
          break
        case 0x14: // STR, STRH (register offset)
          a = r[(op >> 6) & 7] + r[middle]
          b = op & 0x200 ? inSram(a, 2, 1) : inSram(a, 4, 3)
          if (outside) break
          if (op & 0x200) sram16[b >> 1] = r[low]
          else sram32[b >> 2] = r[low]
          took = 2
          break
        case 0x15: // STRB, LDRSB (register offset)
          a = r[(op >> 6) & 7] + r[middle]
          if (op & 0x200) value = (load8(a) << 24) >> 24
          else b = inSram(a, 1, 0)
          if (outside) break
          if (op & 0x200) r[low] = value
          else sram8[b] = r[low]
          took = 2
          break
        case 0x16: // LDR, LDRH (register offset)
          a = r[(op >> 6) & 7] + r[middle]
          value = op & 0x200 ? load16(a) : load32(a)
          if (outside) break
          r[low] = value
          took = 2
          break
        case 0x17: // LDRB, LDRSH (register offset)
          a = r[(op >> 6) & 7] + r[middle]
          value = op & 0x200 ? (load16(a) << 16) >> 16 : load8(a)
          if (outside) break
          r[low] = value
          took = 2
          break
        case 0x18: // STR (immediate offset)
        case 0x19:
          b = inSram(r[middle] + ((op >> 4) & 0x7c), 4, 3)
          if (outside) break
          sram32[b >> 2] = r[low]
          took = 2
          break
        case 0x1a: // LDR
        case 0x1b:
          value = load32(r[middle] + ((op >> 4) & 0x7c))
          if (outside) break
          r[low] = value
          took = 2
          break
        case 0x1c: // STRB
        case 0x1d:
          b = inSram(r[middle] + ((op >> 6) & 0x1f), 1, 0)
          if (outside) break
          sram8[b] = r[low]
          took = 2
          break
        case 0x1e: // LDRB
        case 0x1f:
          value = load8(r[middle] + ((op >> 6) & 0x1f))
          if (outside) break
          r[low] = value
          took = 2
          break
        case 0x20: // STRH
        case 0x21:
          b = inSram(r[middle] + ((op >> 5) & 0x3e), 2, 1)
          if (outside) break
          sram16[b >> 1] = r[low]
          took = 2
          break
        case 0x22: // LDRH
        case 0x23:
          value = load16(r[middle] + ((op >> 5) & 0x3e))
          if (outside) break
          r[low] = value
          took = 2
          break
        case 0x24: // STR, LDR (relative to SP)
        case 0x25:
        case 0x26:
        case 0x27:
          a = r[SP] + ((op & 0xff) << 2)
          if (op & 0x800) value = load32(a)
          else b = inSram(a, 4, 3)
          if (outside) break
          if (op & 0x800) r[high] = value
          else sram32[b >> 2] = r[high]
          took = 2
          break
        case 0x28: // ADR
        case 0x29:
          r[high] = ((pc + 4) & ~3) + ((op & 0xff) << 2)
          break
        case 0x2a: // ADD (SP plus immediate)
        case 0x2b:
          r[high] = r[SP] + ((op & 0xff) << 2)
          break
        case 0x2c:
          if (high === 0) {
            // ADD, SUB (SP itself)
            value = (op & 0x7f) << 2
            r[SP] = (r[SP] + (op & 0x80 ? -value : value)) & ~3
          } else if (high === 2) {
            a = r[middle]
            b = (op >> 6) & 3
            if (b === 0) r[low] = (a << 16) >> 16 // SXTH
            else if (b === 1) r[low] = (a << 24) >> 24 // SXTB
            else if (b === 2) r[low] = a & 0xffff // UXTH
            else r[low] = a & 0xff // UXTB
          } else {
            outside = true
          }
          break
        case 0x2d: // PUSH
          a = BIT_COUNTS[op & 0xff]
          b = op & 0x100 ? 4 * a + 4 : 4 * a
          value = inSram(r[SP] - b, b, 3)
          if (op & 0x200) outside = true
          if (outside) break
          r[SP] -= b
          for (let i = 0; i < 8; i++) {
            if ((op >> i) & 1) {
              sram32[value >> 2] = r[i]
              value += 4
            }
          }
          if (op & 0x100) sram32[value >> 2] = r[LR]
          took = 1 + a
          break
        case 0x2e:
          if ((op >> 6) !== 0x2e8) {
            outside = true
            break
          }
          a = r[middle] // REV
          r[low] = (a << 24) | ((a & 0xff00) << 8) | ((a >>> 8) & 0xff00) | (a >>> 24)
          break
        case 0x2f: // POP
          if (op & 0x200) {
            if (op !== NOP) outside = true
            break
          }
          a = BIT_COUNTS[op & 0xff]
          b = op & 0x100 ? 4 * a + 4 : 4 * a
          value = inSram(r[SP], b, 3)
          if (outside) break
          if (op & 0x100) {
            next = sram32[(value + b - 4) >> 2]
            if (next >>> 28 === EXCEPTION_RETURN) {
              outside = true
              break
            }
            next &= ~1
            took = 3
          }
          r[SP] += b
          for (let i = 0; i < 8; i++) {
            if ((op >> i) & 1) {
              r[i] = sram32[value >> 2]
              value += 4
            }
          }
          took += a
          break
        case 0x30: // STM
        case 0x31:
        case 0x32: // LDM
        case 0x33:
          a = BIT_COUNTS[op & 0xff]
          value = inSram(r[high], 4 * a, 3)
          if ((op >> high) & 1) outside = true // rare, with its own rules
          if (outside) break
          r[high] += 4 * a
          for (let i = 0; i < 8; i++) {
            if ((op >> i) & 1) {
              if (op & 0x800) r[i] = sram32[value >> 2]
              else sram32[value >> 2] = r[i]
              value += 4
            }
          }
          took = 1 + a
          break
        case 0x34: // B (conditional)
        case 0x35:
        case 0x36:
        case 0x37: {
          let met = false
          switch ((op >> 9) & 7) {
            case 0: // EQ
              met = nz === 0
              break
            case 1: // CS
              met = c !== 0
              break
            case 2: // MI
              met = nz < 0
              break
            case 3: // VS
              met = v !== 0
              break
            case 4: // HI
              met = c !== 0 && nz !== 0
              break
            case 5: // GE
              met = nz >>> 31 === v
              break
            case 6: // GT
              met = nz !== 0 && nz >>> 31 === v
              break
            case 7: // SVC, undefined
              outside = true
              break
          }
          if (met === ((op & 0x100) === 0)) {
            next = pc + 4 + ((op << 24) >> 23)
            took = 2
          }
          break
        }
        case 0x38: // B
        case 0x39:
          next = pc + 4 + ((op << 21) >> 20)
          took = 2
          break
        case 0x3c: // BL
        case 0x3d:
          value = code[(where >> 1) + 1]
          if ((value & 0xd000) !== 0xd000) {
            outside = true
            break
          }
          b = (op << 21) >> 31 // the sign, which also inverts J1 and J2
          a = (~(value >> 13) ^ b) & 1
          a = (b << 24) | (a << 23) | (((~(value >> 11) ^ b) & 1) << 22)
          r[LR] = (pc + 4) | 1
          next = pc + 4 + (a | ((op & 0x3ff) << 12) | ((value & 0x7ff) << 1))
          took = 3
          break
        default:
          outside = true
      }
      if (outside) break
      pc = next
      cycles += took
    }
    r[PC] = pc
    core.N = nz < 0
    core.Z = nz === 0
    core.C = c !== 0
    core.V = v !== 0
    core.cycles += cycles
    return cycles
  }

  return (stop) => {
    const alarm = clock.nextAlarm
    const until = alarm !== null && alarm.nanos < stop ? alarm.nanos : stop
    const cyclesUntil = Math.ceil((until - clock.nanos) / CYCLE_NANOS)
    const most = Math.max(1, Math.min(MAX_CYCLES, cyclesUntil)) // at least 1: an alarm may be overdue
    outside = false
    const cycles = core.interruptsUpdated ? 0 : work(most)
    if (cycles) clock.tick(cycles * CYCLE_NANOS)
    if (cycles < most) clock.tick(core.executeInstruction() * CYCLE_NANOS)
  }
}

function views({ buffer }) {
  return [new Uint8Array(buffer), new Uint16Array(buffer), new Int32Array(buffer)]
}
