// I2C: register models outside of this program take part in each transfer of the chip.
//
// request(event, onReply) stops the chip until the reply comes: bytes, or null when nothing
// acknowledges the address. notify(event) does not stop it. A read requests bytes in advance,
// because the peripheral does not know how many the program will read; at its end, an event says
// how many were read, and only these count.

import { I2CMode } from './rp2040.mjs'

const TX_EMPTY = 1 << 4
const I2C_FUNCTION = 3 // of a pin
const ADDRESS_BITS = 8 // seven, and one for the direction

// Connects I2C peripheral `bus` of a chip.
//
// Corrects rp2040js: when nothing acknowledges, the queue becomes empty, but rp2040js does not
// report this (TX_EMPTY), and the program would wait for it until its timeout.
export function attachI2c(chip, bus, request, notify) {
  const i2c = chip.i2c[bus]
  let address = 0
  let mode = null
  let written = []
  let fetched = []
  let count = 0 // of bytes that the program has read

  const finish = () => {
    if (mode === I2CMode.Write && written.length) {
      notify({ i2c: 'written', bus, address, data: written })
    } else if (mode === I2CMode.Read) {
      notify({ i2c: 'consumed', bus, address, count })
    }
    mode = null
    written = []
    count = 0
  }

  i2c.onConnect = (target, wantedMode) => {
    finish()
    const reads = wantedMode === I2CMode.Read
    request({ i2c: reads ? 'read' : 'write', bus, address: target }, (reply) => {
      if (reply === null) {
        i2c.completeConnect(false)
        i2c.setInterrupts(TX_EMPTY)
        return
      }
      address = target
      mode = wantedMode
      fetched = reads ? reply : []
      i2c.completeConnect(true)
    })
  }
  i2c.onWriteByte = (byte) => {
    written.push(byte)
    i2c.completeWrite(true)
  }
  i2c.onReadByte = () => {
    if (count < fetched.length) {
      i2c.completeRead(fetched[count++])
      return
    }
    request({ i2c: 'more', bus, address }, (reply) => {
      fetched = fetched.concat(reply ?? [0xff])
      i2c.completeRead(fetched[count++])
    })
  }
  i2c.onStop = () => {
    finish()
    i2c.completeStop()
  }
}

// Acknowledges addresses that a program sends by switching pins itself, as i2c.scan() does.
//
// The peripheral cannot send an address alone, so MicroPython makes plain pins of its lines and
// switches them, where rp2040js has no bus. This class watches the pins that belonged to the
// peripheral. It does not acknowledge data, so machine.SoftI2C reaches no model.
export class SoftwareI2c {
  constructor(pins, request) {
    this.pins = pins
    this.request = request
    this.buses = new Map() // by the data pin; the clock pin is the next one
    pins.listeners.push((pin, level) => this.pinChanged(pin, level))
  }

  // Starts again with a new chip.
  reset() {
    for (const { data, count } of this.buses.values()) {
      if (count > ADDRESS_BITS) this.pins.drive(data, null)
    }
    this.buses.clear()
  }

  pinChanged(pin, level) {
    const data = pin & ~1
    if (!this.buses.has(data)) {
      if (this.pins.chip.gpio[pin].functionSelect !== I2C_FUNCTION) return
      this.buses.set(data, { data, levels: [1, 1], count: -1, bits: 0 })
    }
    const bus = this.buses.get(data)
    if (bus.levels[pin - data] === level) return
    bus.levels[pin - data] = level
    if (pin === data) this.dataChanged(bus)
    else if (bus.count >= 0) this.clockChanged(bus)
  }

  // A change of the data while the clock is high is a start or a stop condition.
  dataChanged(bus) {
    const [data, clock] = bus.levels
    if (!clock) return
    bus.count = data ? -1 : 0
    bus.bits = 0
  }

  clockChanged(bus) {
    const [data, clock] = bus.levels
    if (clock && bus.count < ADDRESS_BITS) {
      bus.bits = (bus.bits << 1) | data
      bus.count++
    } else if (!clock && bus.count === ADDRESS_BITS) {
      bus.count++
      const event = { i2c: 'write', bus: (bus.data >> 1) & 1, address: bus.bits >> 1 }
      this.request(event, (reply) => {
        if (reply !== null) this.pins.drive(bus.data, 0)
      })
    } else if (!clock && bus.count > ADDRESS_BITS) {
      bus.count = -1
      this.pins.drive(bus.data, null)
    }
  }
}
