// What is soldered to the pins: levels from outside, pulls, and what the program puts out.
//
// Causes of the fixes. rp2040js shows a program only what was set from outside: a pull-up does not
// lift an open input, and an output does not read as what it is. And each look at an input counts
// as an edge, so that switching a pull on raises an interrupt that no hardware would.

const PINS = 30

export class Pins {
  constructor(onOutput) {
    this.driven = new Array(PINS).fill(null) // survives resets, as wires do
    this.watched = new Set()
    this.shown = new Map()
    this.listeners = []
    this.onOutput = onOutput
  }

  attach(chip) {
    this.chip = chip
    for (const gpio of chip.gpio) {
      onlyRealEdges(gpio)
      gpio.addListener(() => this.refresh(gpio))
      this.refresh(gpio)
    }
  }

  detach() {
    this.chip = null
  }

  // Puts 0 or 1 on a pin from outside; null leaves it open.
  drive(number, level) {
    this.driven[number] = level
    if (this.chip) this.refresh(this.chip.gpio[number])
  }

  // The level that a voltmeter would show.
  level(number) {
    return this.chip ? levelOf(this.chip.gpio[number], this.driven[number]) : 0
  }

  watch(number) {
    this.watched.add(number)
    this.shown.set(number, this.level(number))
  }

  refresh(gpio) {
    const { index } = gpio
    const level = levelOf(gpio, this.driven[index])
    gpio.setInputValue(level === 1)
    for (const listener of this.listeners) listener(index, level)
    if (this.watched.has(index) && this.shown.get(index) !== level) {
      this.shown.set(index, level)
      this.onOutput(index, level)
    }
  }
}

function levelOf(gpio, driven) {
  if (gpio.outputEnable) {
    // Two drivers of an open-drain bus: the one that pulls down wins.
    return gpio.outputValue && driven !== 0 ? 1 : 0
  }
  return driven ?? (gpio.pullupEnabled ? 1 : 0)
}

function onlyRealEdges(gpio) {
  const set = gpio.setInputValue.bind(gpio)
  let before = null
  gpio.setInputValue = (value) => {
    const seen = value && gpio.inputEnable
    if (seen === before) {
      gpio.rawInputValue = value
      return
    }
    before = seen
    set(value)
  }
}
