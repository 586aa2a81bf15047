// The Pico around the chip: power, reset button, flash, wires, serial lines and the network.

import { makeChip, randomBits } from './chip.mjs'
import { Flash } from './flash.mjs'
import { attachI2c, SoftwareI2c } from './i2c.mjs'
import { GUEST, HOST, Nat } from './nat.mjs'
import { Pacing } from './pacing.mjs'
import { Pins } from './pins.mjs'
import { Peer } from './ppp.mjs'
import { Uart } from './uart.mjs'
import { Console } from './usb.mjs'

const SEED = 1
const ADC_FULL_SCALE_MV = 3300
const ADC_MAX = 4095
const ADC_CHANNELS = 5
const UARTS = [0, 1]
const I2CS = [0, 1]

export class Board {
  // options: see main.mjs. emit(event): reports an event. A reply that an event of I2C requests
  // comes back through reply().
  constructor(options, emit) {
    this.options = options
    this.emit = emit
    this.chip = null // without power
    this.passedNanos = 0 // with earlier chips, and without power
    this.flash = new Flash(options.flash)
    this.flash.install(options.image)
    this.random = randomBits(SEED)
    this.pins = new Pins((pin, level) => emit({ event: 'pin', pin, level }))
    this.requestI2c = (event, onReply) => {
      this.onReply = onReply
      this.pacing.block()
      this.emitI2c(event)
    }
    this.softwareI2c = new SoftwareI2c(this.pins, this.requestI2c)
    this.adc = new Array(ADC_CHANNELS).fill(0)
    this.onReply = null
    this.pacing = new Pacing(this, options.realtime)
    this.nat = new Nat({
      send: (packet) => this.peer !== null && this.peer.send(packet),
      input: (action) => this.pacing.input(action),
      onTrouble: (text) => emit({ event: 'trouble', text }),
    })
    this.peer = options.pppUart === null ? null : this.makePeer(options.pppUart)
  }

  makePeer(uart) {
    return new Peer({
      guest: GUEST,
      host: HOST,
      write: (bytes) => this.toUart(uart, bytes),
      onPacket: (packet) => this.nat.receive(packet),
      onUp: () => this.emit({ event: 'link', up: true }),
      onDown: () => this.emit({ event: 'link', up: false }),
    })
  }

  // Nanoseconds since the emulator started.
  get nanos() {
    return this.passedNanos + (this.chip === null ? 0 : this.chip.clock.nanos)
  }

  // Lets time pass without power.
  pass(nanos) {
    this.passedNanos += nanos
  }

  // Switches the supply.
  power(on) {
    if (on && this.chip === null) this.start(null, 'power')
    else if (!on) this.stop()
  }

  // Connects RUN to ground for a moment.
  pressReset() {
    if (this.chip === null) return
    this.stop()
    this.start(null, 'button')
  }

  // Does the reset that the chip has requested.
  restart() {
    const before = this.chip
    this.flush()
    this.stop()
    this.start(before, this.resetReason)
  }

  start(before, reason) {
    const { bootrom, pppUart, pppBaud } = this.options
    const onReset = (why) => {
      this.resetReason = why
    }
    this.chip = makeChip({ bootrom, flash: this.flash, random: this.random, before, onReset })
    this.softwareI2c.reset()
    this.pins.attach(this.chip)
    this.chip.adc.channelValues = this.adc
    this.uarts = UARTS.map(
      (n) => new Uart(this.chip, n, (bytes) => this.fromUart(n, bytes), n === pppUart ? pppBaud : null),
    )
    this.console = new Console(
      this.chip,
      (bytes) => this.emit({ event: 'usb', data: bytes.toString('latin1') }),
      () => this.emit({ event: 'connected' }),
    )
    for (const n of I2CS) attachI2c(this.chip, n, this.requestI2c, (event) => this.emitI2c(event))
    this.emit({ event: 'boot', reason, ms: this.nanos / 1e6 })
  }

  stop() {
    if (this.chip === null) return
    this.passedNanos += this.chip.clock.nanos
    this.pins.detach()
    this.chip = null
    this.peer?.reset()
  }

  // Passes on what the program has sent on its lines.
  flush() {
    if (this.chip === null) return
    for (const uart of this.uarts) uart.flush()
    this.console.flush()
  }

  fromUart(number, bytes) {
    if (number === this.options.pppUart) this.peer.input(bytes)
    else this.emit({ event: 'uart', uart: number, data: bytes.toString('latin1') })
  }

  // Sends bytes to a UART of the chip; returns false when they are lost.
  toUart(number, bytes) {
    return this.chip !== null && this.uarts[number].write(bytes)
  }

  // Types bytes at the console.
  toConsole(bytes) {
    if (this.chip !== null) this.console.write(bytes)
  }

  // Puts a voltage on an ADC channel; 0 to 3 are GPIO 26 to 29.
  setAdc(channel, mv) {
    this.adc[channel] = Math.max(0, Math.min(ADC_MAX, Math.round((mv * ADC_MAX) / ADC_FULL_SCALE_MV)))
  }

  emitI2c(event) {
    this.emit({ event: 'i2c', ms: Math.floor(this.nanos / 1e6), ...event })
  }

  // Gives the chip the reply of a register model.
  reply(value) {
    const { onReply } = this
    this.onReply = null
    if (onReply === null) return
    if (this.chip !== null) onReply(value)
    this.pacing.unblock()
  }
}
