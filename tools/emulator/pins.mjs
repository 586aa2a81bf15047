// The pins: levels from outside, pull-ups, and what the program outputs.
//
// Corrects rp2040js. A program sees there only levels from outside: a pull-up does not raise an
// open input, and an output does not read as its own level. Each update of an input counts as an
// edge, so enabling a pull-up raises an interrupt that hardware would not.

const PINS = 30

export class Pins {
  // onChange(pin, level): gets each change of a watched pin.
  constructor(onChange) {
    this.driven = new Array(PINS).fill(null) // survives resets, as wires do
    this.watched = new Map() // {pin: the level that was last reported}
    this.listeners = []
    this.onChange = onChange
  }

  // Wires a new chip.
  attach(chip) {
    this.chip = chip
    for (const gpio of chip.gpio) {
      ignoreRepeatedLevels(gpio)
      gpio.addListener(() => this.refresh(gpio))
      this.refresh(gpio)
    }
  }

  // The power is off.
  detach() {
    this.chip = null
  }

  // Puts 0 or 1 on a pin from outside; null leaves it open.
  drive(number, level) {
    this.driven[number] = level
    if (this.chip) this.refresh(this.chip.gpio[number])
  }

  // Returns the level that a voltmeter would show.
  level(number) {
    return this.chip ? levelOf(this.chip.gpio[number], this.driven[number]) : 0
  }

  // Reports changes of a pin from now on.
  watch(number) {
    this.watched.set(number, this.level(number))
  }

  refresh(gpio) {
    const { index } = gpio
    const level = levelOf(gpio, this.driven[index])
    gpio.setInputValue(level === 1)
    for (const listener of this.listeners) listener(index, level)
    if (this.watched.has(index) && this.watched.get(index) !== level) {
      this.watched.set(index, level)
      this.onChange(index, level)
    }
  }
}

function levelOf(gpio, driven) {
  // When both sides drive the line, as on an open-drain bus, the low level wins.
  if (gpio.outputEnable) return gpio.outputValue && driven !== 0 ? 1 : 0
  return driven ?? (gpio.pullupEnabled ? 1 : 0)
}

function ignoreRepeatedLevels(gpio) {
  const set = gpio.setInputValue.bind(gpio)
  let before = null
  gpio.setInputValue = (value) => {
    const level = value && gpio.inputEnable
    if (level === before) {
      gpio.rawInputValue = value
      return
    }
    before = level
    set(value)
  }
}
