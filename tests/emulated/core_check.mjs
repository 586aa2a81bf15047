// Every opcode of 16 bits, and BL, in random states: tools/emulator/core.mjs against rp2040js.
//
// Prints how many instructions ran, and those after which the two chips differ. Where rp2040js
// itself is wrong, its flags are put right first, by the definitions of ARMv6-M (A2.2.1).

import { makeCore } from '../../tools/emulator/core.mjs'
import { RP2040, SimulationClock } from '../../tools/emulator/rp2040.mjs'

const STATES = Number(process.argv[2])
const SHOWN = 10
const CYCLE_NANOS = 8
const SRAM = 0x20000000
const WINDOW = 0x100 // bytes of SRAM in which addresses lie
const CODE = SRAM + 0x1000
const EDGES = [0, 1, 2, 31, 32, 33, 255, 256, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]
const BLX_LR = 0x47f0
const FACTS = ['N', 'Z', 'C', 'V', 'PM', 'waiting', 'pendingSVCall', 'cycles']
const [LSLS, LSRS, ASRS, ADCS, SBCS, RORS] = [2, 3, 4, 5, 6, 7]

let state = 1
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * below)
}

// The addresses are random: rp2040js says on the console where nothing is.
console.warn = console.error = () => {}

function makeChip() {
  const chip = new RP2040(new SimulationClock())
  chip.logger = { error() {}, warn() {}, info() {}, debug() {} }
  for (let i = 0; i < chip.bootrom.length; i++) chip.bootrom[i] = Math.imul(i, 0x9e3779b1)
  for (let i = 0; i < 4096; i++) chip.flash[i] = Math.imul(i, 0x9e3779b1) >>> 13
  return chip
}

function someValue() {
  switch (random(8)) {
    case 0:
      return EDGES[random(EDGES.length)]
    case 1:
      return random(2 ** 32)
    case 2:
      return random(64)
    case 3:
      return 0x10000000 + random(2048)
    case 4:
      return random(2048) // in the boot ROM
    case 5:
      return SRAM + random(WINDOW)
    default:
      return SRAM + 4 * random(WINDOW / 4)
  }
}

// The same random state for both.
function prepare(chips, op, op2) {
  const values = Array.from({ length: 13 }, someValue)
  values.push(SRAM + 0x20 + 4 * random(0x30), random(2 ** 32), CODE)
  const flags = random(16)
  const memory = Array.from({ length: WINDOW / 4 }, () => random(2 ** 32) & ~(random(2) << 31))
  for (const chip of chips) {
    const { core } = chip
    core.registers.set(values)
    ;[core.N, core.C, core.V] = [1, 2, 4].map((bit) => (flags & bit) !== 0)
    core.Z = !core.N && (flags & 8) !== 0
    core.currentMode = 0
    core.waiting = core.interruptsUpdated = core.pendingSVCall = core.PM = false
    new Uint32Array(chip.sram.buffer, 0, WINDOW / 4).set(memory)
    chip.sramView.setUint16(CODE - SRAM, op, true)
    chip.sramView.setUint16(CODE - SRAM + 2, op2, true)
  }
}

function putRight(core, op, before) {
  if (op === BLX_LR) core.registers[15] = before[14] & ~1
  if (op >> 10 !== 0x10) return
  const kind = (op >> 6) & 15
  const a = before[op & 7]
  const b = before[(op >> 3) & 7]
  if ([LSLS, LSRS, ASRS, RORS].includes(kind) && (b & 0xff) === 0) core.C = before.C
  if (kind === LSLS && (b & 0xff) > 32) core.C = false
  if (kind === ADCS || kind === SBCS) {
    const carry = before.C ? 1 : 0
    const exact = kind === ADCS ? (a | 0) + (b | 0) + carry : (a | 0) - (b | 0) - 1 + carry
    core.V = exact !== (exact | 0)
  }
}

function differ(a, b) {
  const memory = [a, b].map((chip) => new Uint8Array(chip.sram.buffer, 0, WINDOW))
  return (
    FACTS.some((fact) => a.core[fact] !== b.core[fact]) ||
    a.clock.nanos !== b.clock.nanos ||
    Buffer.compare(...[a, b].map((chip) => new Uint8Array(chip.core.registers.buffer))) ||
    Buffer.compare(...memory)
  )
}

const [theirs, ours] = [makeChip(), makeChip()]
const work = makeCore(ours)
let ran = 0
let wrong = 0
for (let op = 0; op < 0x10000; op++) {
  for (let i = 0; i < STATES; i++) {
    prepare([theirs, ours], op, op >> 11 === 0x1e ? 0xd000 | random(0x10000) : random(0x10000))
    const before = Object.assign([...theirs.core.registers], { C: theirs.core.C })
    theirs.clock.tick(theirs.core.executeInstruction() * CYCLE_NANOS)
    putRight(theirs.core, op, before)
    work(ours.clock.nanos + CYCLE_NANOS)
    ran++
    if (differ(theirs, ours) && wrong++ < SHOWN) {
      const [expected, found] = [theirs, ours].map(({ core }) =>
        [...FACTS.map((fact) => `${fact} ${core[fact]}`), ...core.registers].join(' '),
      )
      console.log(`${op.toString(16)}: ${found}, but rp2040js: ${expected}`)
    }
  }
}
console.log(`${ran} instructions, ${wrong} differ`)
process.exit(wrong ? 1 : 0)
