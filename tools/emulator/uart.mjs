// UARTs: transmit interrupts, and received bytes at the speed of the line.
//
// Corrects rp2040js. It raises the transmit interrupt at each check of interrupts, so a program
// that enables it (machine.UART with a buffer) never leaves its handler. Its feedByte() accepts any
// number of bytes at once for a FIFO of 32 and never raises the receive timeout, which
// UART.IRQ_RXIDLE and network.PPP need.

const DATA_REGISTER = 0
const TX_INTERRUPT = 0x20
const RX_TIMEOUT_INTERRUPT = 0x40
const BITS_PER_BYTE = 10 // start, eight, stop
const IDLE_BYTES = 4 // the receive timeout comes after 32 bit times
const MAX_QUEUE_BYTES = 256 * 1024
const DEFAULT_BAUD = 115200
const NANOS_PER_S = 1e9

export class Uart {
  // onBytes(bytes): gets what the program sends. baud: the speed of what it receives, null for
  // the speed that the program has set.
  constructor(chip, number, onBytes, baud = null) {
    this.uart = chip.uart[number]
    this.baud = baud
    this.queue = []
    this.next = 0 // index in the queue
    this.sent = []
    this.onBytes = onBytes
    this.alarm = chip.clock.createAlarm(() => this.feed())
    this.scheduled = false
    correctTransmitInterrupt(this.uart)
    this.uart.onByte = (byte) => this.sent.push(byte)
  }

  // Passes on the bytes that the program has sent since the last call.
  flush() {
    if (this.sent.length) {
      const bytes = Buffer.from(this.sent)
      this.sent.length = 0
      this.onBytes(bytes)
    }
  }

  // Queues bytes for the program; returns false when the queue is full.
  write(bytes) {
    if (this.queue.length - this.next + bytes.length > MAX_QUEUE_BYTES) return false
    for (const byte of bytes) this.queue.push(byte)
    if (!this.scheduled) this.schedule(1)
    return true
  }

  // Calls feed() after the time that so many bytes take on the line.
  schedule(bytes) {
    const baud = this.baud ?? (this.uart.baudDivider ? this.uart.baudRate : DEFAULT_BAUD)
    this.scheduled = true
    this.alarm.schedule(Math.round((bytes * BITS_PER_BYTE * NANOS_PER_S) / baud))
  }

  feed() {
    this.scheduled = false
    const { uart } = this
    if (this.next === this.queue.length) {
      this.queue.length = this.next = 0
      uart.interruptStatus |= RX_TIMEOUT_INTERRUPT
      uart.checkInterrupts()
      return
    }
    const byte = this.queue[this.next++]
    if (uart.enabled && !uart.rxFIFO.full) uart.feedByte(byte) // otherwise lost, as on hardware
    this.schedule(this.next === this.queue.length ? IDLE_BYTES : 1)
  }
}

function correctTransmitInterrupt(uart) {
  uart.checkInterrupts = () => {
    uart.rp2040.setInterrupt(uart.irq, (uart.interruptStatus & uart.interruptMask) !== 0)
  }
  const write = uart.writeUint32.bind(uart)
  uart.writeUint32 = (offset, value) => {
    write(offset, value)
    if (offset === DATA_REGISTER) {
      uart.interruptStatus |= TX_INTERRUPT
      uart.checkInterrupts()
    }
  }
}
