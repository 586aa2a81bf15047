// The chip from one reset to the next, with what rp2040js lacks.

import { makeCore } from './core.mjs'
import { setUniqueId } from './flash.mjs'
import { BasePeripheral, ConsoleLogger, LogLevel, RP2040, SimulationClock } from './rp2040.mjs'

const WATCHDOG = 0x40058
const WATCHDOG_TIMER_REASON = 1
const ROSC = 0x40060
const ROSC_STATUS = 0x18
const ROSC_RANDOM_BIT = 0x1c
const ROSC_STABLE = (1 << 31) | (1 << 12) // and enabled
const IO_QSPI = 0x40018
const CHIP_SELECT = 1
const INPUT_ENABLE = 0x40
const VREG_AND_CHIP_RESET = 0x40064
const FIRST_INSTRUCTION = 0x10000000 // the second boot stage, at the start of flash memory

// Returns a chip that starts from the given Flash.
//
// onReset(reason) is called when its program or its watchdog resets it: "software" or "watchdog".
// The next chip then gets this one as `before`: rp2040js has no reset, and on hardware the scratch
// registers of the watchdog and its reason survive one.
export function makeChip({ bootrom, flash, random, before, onReset }) {
  const chip = new RP2040(new SimulationClock())
  chip.logger = new ConsoleLogger(LogLevel.Error, false)
  chip.logger.error = () => {} // reads of unaligned addresses etc. are the program's matter
  chip.loadBootrom(bootrom)
  const breakpoints = flash.attach(chip)
  chip.onBreak = (code) => breakpoints.get(code)?.()
  chip.peripherals[ROSC] = new RingOscillator(chip, random)
  chip.peripherals[IO_QSPI] = new Registers(chip, 'IO_QSPI')
  chip.peripherals[VREG_AND_CHIP_RESET] = new Registers(chip, 'VREG_AND_CHIP_RESET')
  // This pin has a pull-up, which rp2040js lacks: the BOOTSEL button would seem pressed.
  chip.qspi[CHIP_SELECT].padValue |= INPUT_ENABLE
  chip.qspi[CHIP_SELECT].setInputValue(true)
  setUniqueId(chip)
  chip.dead = false
  const watchdog = chip.peripherals[WATCHDOG]
  if (before) {
    watchdog.reason = before.peripherals[WATCHDOG].reason
    watchdog.scratchData.set(before.peripherals[WATCHDOG].scratchData)
  }
  watchdog.onWatchdogTrigger = () => {
    if (chip.dead) return
    chip.dead = true
    // At zero it would trigger again at once, and the clock would stop at this moment.
    watchdog.timer.enable = watchdog.alarm.enable = false
    onReset(watchdog.reason === WATCHDOG_TIMER_REASON ? 'watchdog' : 'software')
  }
  chip.core.PC = FIRST_INSTRUCTION
  chip.work = makeCore(chip)
  return chip
}

// The ring oscillator with its random bit, which rp2040js lacks: os.urandom() and the seed of
// `random` would be constants.
class RingOscillator extends BasePeripheral {
  constructor(chip, random) {
    super(chip, 'ROSC')
    this.random = random
  }

  readUint32(offset) {
    if (offset === ROSC_RANDOM_BIT) return this.random() & 1
    return offset === ROSC_STATUS ? ROSC_STABLE : 0
  }

  writeUint32() {}
}

// Registers that return what was written to them.
class Registers extends BasePeripheral {
  constructor(chip, name) {
    super(chip, name)
    this.values = new Map()
  }

  readUint32(offset) {
    return this.values.get(offset) ?? 0
  }

  writeUint32(offset, value) {
    this.values.set(offset, value)
  }
}

// Returns a generator of random numbers (xorshift32) that repeats for the same seed.
export function randomBits(seed) {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state >>> 16
  }
}
