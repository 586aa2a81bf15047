// UARTs: the transmit interrupt, and bytes that come in at the speed of the line.
//
// Causes of the fixes. rp2040js raises the transmit interrupt whenever it looks at interrupts, so
// a program that enables it (machine.UART with a buffer) never leaves its handler. And feedByte()
// takes any number of bytes at once into a FIFO of 32 places and never raises the receive timeout,
// on which UART.IRQ_RXIDLE and network.PPP rely.

const DATA = 0 // register
const TX = 0x20 // interrupts
const RX_TIMEOUT = 0x40
const BITS = 10 // of a byte on the line: start, eight, stop
const IDLE_BYTES = 4 // after which the receive timeout comes: 32 bit times
const LONGEST_QUEUE = 256 * 1024
const NANOS = 1e9

export class Uart {
  // baud: the speed of what comes in, null for the one that the program has set.
  constructor(chip, number, onBytes, baud = null) {
    this.uart = chip.uart[number]
    this.baud = baud
    this.queue = []
    this.next = 0
    this.sent = []
    this.onBytes = onBytes
    this.alarm = chip.clock.createAlarm(() => this.step())
    this.armed = false
    fixTransmitInterrupt(this.uart)
    this.uart.onByte = (byte) => this.sent.push(byte)
  }

  // Hands over what the program has sent since the last call.
  flush() {
    if (this.sent.length) {
      const bytes = Buffer.from(this.sent)
      this.sent.length = 0
      this.onBytes(bytes)
    }
  }

  // Bytes for the program; false when so many wait already that the line must have been dead.
  write(bytes) {
    if (this.queue.length - this.next + bytes.length > LONGEST_QUEUE) return false
    for (const byte of bytes) this.queue.push(byte)
    if (!this.armed) this.arm(1)
    return true
  }

  arm(bytes) {
    const baud = this.baud ?? (this.uart.baudDivider ? this.uart.baudRate : 115200)
    this.armed = true
    this.alarm.schedule(Math.round((bytes * BITS * NANOS) / baud))
  }

  step() {
    this.armed = false
    const { uart } = this
    if (this.next === this.queue.length) {
      this.queue.length = this.next = 0
      uart.interruptStatus |= RX_TIMEOUT
      uart.checkInterrupts()
      return
    }
    const byte = this.queue[this.next++]
    if (uart.enabled && !uart.rxFIFO.full) uart.feedByte(byte) // otherwise lost, as on the line
    this.arm(this.next === this.queue.length ? IDLE_BYTES : 1)
  }
}

function fixTransmitInterrupt(uart) {
  uart.checkInterrupts = () => {
    uart.rp2040.setInterrupt(uart.irq, (uart.interruptStatus & uart.interruptMask) !== 0)
  }
  const write = uart.writeUint32.bind(uart)
  uart.writeUint32 = (offset, value) => {
    write(offset, value)
    if (offset === DATA) {
      uart.interruptStatus |= TX
      uart.checkInterrupts()
    }
  }
}
