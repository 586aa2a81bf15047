// I2C addresses that a program sends by switching the pins itself: i2c.scan() is made of them.
//
// Cause: the peripheral cannot write nothing, so MicroPython turns its pins into plain ones and
// clocks the address out by software, where rp2040js has no bus. Here the pins are watched that
// were the peripheral's, and the address is acknowledged if a register model has it. Only that:
// data that follows is not acknowledged, so machine.SoftI2C reaches nobody.

const I2C_FUNCTION = 3
const ADDRESS_BITS = 8 // the last one says whether it is to be read

export class Scan {
  // ask(question, answered) stops the chip until the answer comes, null for nobody.
  constructor(pins, ask) {
    this.pins = pins
    this.ask = ask
    this.lines = new Map() // of the data pin, of which the clock's is the next
    pins.listeners.push((pin, level) => this.look(pin, level))
  }

  // The chip starts anew.
  reset() {
    for (const { data, count } of this.lines.values()) {
      if (count > ADDRESS_BITS) this.pins.drive(data, null)
    }
    this.lines.clear()
  }

  look(pin, level) {
    const data = pin & ~1
    if (!this.lines.has(data)) {
      if (this.pins.chip.gpio[pin].functionSelect !== I2C_FUNCTION) return
      this.lines.set(data, { data, levels: [1, 1], count: -1, bits: 0 })
    }
    const line = this.lines.get(data)
    if (line.levels[pin - data] === level) return
    line.levels[pin - data] = level
    if (pin === data) this.dataChanged(line)
    else if (line.count >= 0) this.clockChanged(line)
  }

  // While the clock is high only a start or a stop may change the data.
  dataChanged(line) {
    const [level, clock] = line.levels
    if (!clock) return
    line.count = level ? -1 : 0
    line.bits = 0
  }

  clockChanged(line) {
    const [level, clock] = line.levels
    if (clock && line.count < ADDRESS_BITS) {
      line.bits = (line.bits << 1) | level
      line.count++
    } else if (!clock && line.count === ADDRESS_BITS) {
      line.count++
      const question = { i2c: 'write', bus: (line.data >> 1) & 1, address: line.bits >> 1 }
      this.ask(question, (answer) => {
        if (answer !== null) this.pins.drive(line.data, 0)
      })
    } else if (!clock && line.count > ADDRESS_BITS) {
      line.count = -1
      this.pins.drive(line.data, null)
    }
  }
}
