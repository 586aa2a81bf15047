// One life of the chip, from a reset to the next, with all that rp2040js lacks or gets wrong.

import { makeCore } from './core.mjs'
import { giveUniqueId } from './flash.mjs'
import { BasePeripheral, ConsoleLogger, LogLevel, RP2040, SimulationClock } from './rp2040.mjs'

const WATCHDOG = 0x40058
const ROSC = 0x40060
const ROSC_STATUS = 0x18
const ROSC_RANDOM_BIT = 0x1c
const ROSC_STABLE = (1 << 31) | (1 << 12) // running, enabled
const IO_QSPI = 0x40018
const CHIP_SELECT = 1
const INPUT_ENABLE = 0x40
const VREG_AND_RESET = 0x40064
const FIRST_INSTRUCTION = 0x10000000 // the second boot stage, at the start of flash memory

// Makes a chip. `before` is the chip whose watchdog or program asked for the reset, if that is
// why. `onReset(reason)` is called when this one asks for one: "watchdog" or "software".
//
// Cause: rp2040js has no reset. On silicon the watchdog's scratch registers and its reason
// survive one, and flash memory does; all else starts anew.
export function makeChip({ bootrom, flash, id, random, before, onReset }) {
  const chip = new RP2040(new SimulationClock())
  chip.logger = new ConsoleLogger(LogLevel.Error, false)
  chip.logger.error = () => {} // reads of unaligned addresses and the like: the program's affair
  chip.loadBootrom(bootrom)
  const hooks = flash.attach(chip)
  chip.onBreak = (code) => hooks.get(code)?.()
  chip.peripherals[ROSC] = new RingOscillator(chip, random)
  chip.peripherals[IO_QSPI] = new Registers(chip, 'IO_QSPI')
  chip.peripherals[VREG_AND_RESET] = new Registers(chip, 'VREG_AND_CHIP_RESET')
  // Pulled up by default, which rp2040js does not do: the BOOTSEL button would seem pressed.
  chip.qspi[CHIP_SELECT].padValue |= INPUT_ENABLE
  chip.qspi[CHIP_SELECT].setInputValue(true)
  giveUniqueId(chip, id)
  chip.dead = false
  const watchdog = chip.peripherals[WATCHDOG]
  if (before) {
    watchdog.reason = before.peripherals[WATCHDOG].reason
    watchdog.scratchData.set(before.peripherals[WATCHDOG].scratchData)
  }
  watchdog.onWatchdogTrigger = () => {
    if (chip.dead) return
    chip.dead = true
    // At zero it would fire again at once, and the clock never get past this moment.
    watchdog.timer.enable = watchdog.alarm.enable = false
    onReset(watchdog.reason === 1 ? 'watchdog' : 'software')
  }
  chip.core.PC = FIRST_INSTRUCTION
  chip.work = makeCore(chip)
  return chip
}

// The ring oscillator's random bit. Cause: rp2040js does not model it, so os.urandom() and the
// seed of `random` would be constants. The bits come from a generator with a seed of its own.
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

// Registers that keep what is written to them.
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

// xorshift32: repeats exactly for the same seed.
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
