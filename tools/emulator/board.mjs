// The Pico around the chip: power, reset button, flash, wires, serial lines and the network.

import { makeChip, randomBits } from './chip.mjs'
import { Flash } from './flash.mjs'
import { attachI2c } from './i2c.mjs'
import { loadImage } from './image.mjs'
import { GUEST, HOST, Nat } from './nat.mjs'
import { Peer } from './peer.mjs'
import { Pins } from './pins.mjs'
import { Runner } from './runner.mjs'
import { Scan } from './scan.mjs'
import { Uart } from './serial.mjs'
import { Console } from './usb.mjs'

const ADC_FULL_MV = 3300
const ADC_MOST = 4095
const ADC_CHANNELS = 5
const UARTS = [0, 1]
const I2CS = [0, 1]

export class Board {
  // emit(event) tells the world; answers to its questions come back through answer().
  constructor(options, emit) {
    this.options = options
    this.emit = emit
    this.chip = null
    this.passed = 0 // nanoseconds of earlier lives and of power failures
    this.boots = 0
    this.flash = new Flash(options.flash)
    this.flash.install((bytes) => loadImage(options.image, bytes))
    this.random = randomBits(options.seed)
    this.pins = new Pins((pin, level) => emit({ event: 'pin', pin, level }))
    this.scan = new Scan(this.pins, (question, answered) => this.ask(question, answered))
    this.adc = new Array(ADC_CHANNELS).fill(0)
    this.answered = null
    this.peer = null
    this.runner = new Runner(this, options.realtime)
    this.nat = new Nat({
      send: (packet) => this.peer !== null && this.peer.send(packet),
      input: (happen) => this.runner.input(happen),
      onTrouble: (text) => emit({ event: 'trouble', text }),
    })
    if (options.pppUart !== null) this.peer = this.makePeer(options.pppUart)
  }

  // Nanoseconds since the emulator started.
  get nanos() {
    return this.passed + (this.chip === null ? 0 : this.chip.clock.nanos)
  }

  pass(nanos) {
    this.passed += nanos
  }

  power(on) {
    if (on && this.chip === null) this.start(null, 'power')
    else if (!on) this.stop()
  }

  // The button between RUN and ground.
  pressReset() {
    if (this.chip === null) return
    this.stop()
    this.start(null, 'button')
  }

  // The chip asked for a reset.
  restart() {
    const before = this.chip
    this.flush()
    this.stop()
    this.start(before, this.resetReason)
  }

  start(before, reason) {
    this.chip = makeChip({
      bootrom: this.options.bootrom,
      flash: this.flash,
      id: this.options.id,
      random: this.random,
      before,
      onReset: (why) => {
        this.resetReason = why
      },
    })
    this.boots++
    this.scan.reset()
    this.pins.attach(this.chip)
    this.chip.adc.channelValues = this.adc
    const { pppUart, pppBaud } = this.options
    this.uarts = UARTS.map(
      (n) => new Uart(this.chip, n, (bytes) => this.fromUart(n, bytes), n === pppUart ? pppBaud : null),
    )
    this.console = new Console(
      this.chip,
      (bytes) => this.emit({ event: 'usb', data: bytes.toString('latin1') }),
      () => this.emit({ event: 'connected' }),
    )
    for (const n of I2CS) {
      attachI2c(this.chip, n, (question, answered) => this.ask(question, answered), (fact) => this.tell(fact))
    }
    this.emit({ event: 'boot', reason, ms: this.nanos / 1e6 })
  }

  stop() {
    if (this.chip === null) return
    this.passed += this.chip.clock.nanos
    this.pins.detach()
    this.chip = null
    this.peer?.restart()
  }

  flush() {
    if (this.chip === null) return
    for (const uart of this.uarts) uart.flush()
    this.console.flush()
  }

  fromUart(number, bytes) {
    if (number === this.options.pppUart) this.peer.input(bytes)
    else this.emit({ event: 'uart', uart: number, data: bytes.toString('latin1') })
  }

  toUart(number, bytes) {
    return this.chip !== null && this.uarts[number].write(bytes)
  }

  toConsole(bytes) {
    if (this.chip !== null) this.console.write(bytes)
  }

  // Volts on an ADC channel, 0 to 3 are GPIO 26 to 29.
  setAdc(channel, mv) {
    this.adc[channel] = Math.max(0, Math.min(ADC_MOST, Math.round((mv * ADC_MOST) / ADC_FULL_MV)))
  }

  ask(question, answered) {
    this.answered = answered
    this.runner.block()
    this.tell(question)
  }

  tell(fact) {
    this.emit({ event: 'i2c', ms: Math.floor(this.nanos / 1e6), ...fact })
  }

  answer(value) {
    const { answered } = this
    this.answered = null
    if (answered === null) return
    if (this.chip !== null) answered(value)
    this.runner.unblock()
  }

  makePeer(uart) {
    return new Peer({
      guest: GUEST,
      host: HOST,
      write: (bytes) => this.toUart(uart, bytes),
      onPacket: (packet) => this.nat.take(packet),
      onUp: () => this.emit({ event: 'link', up: true }),
      onDown: () => this.emit({ event: 'link', up: false }),
    })
  }
}
