// The USB host at the other end of the cable: receives and sends the bytes of the console.
//
// Corrects rp2040js: it completes each poll for input at once with an empty packet, for ever, so
// the program's USB stack takes most of the processor's time, and a sleeping program is never
// idle. Here a poll waits until there is input.

import { USBCDC } from './rp2040.mjs'

export class Console {
  // onBytes(bytes): gets what the program prints. onConnected(): the program has seen the host.
  constructor(chip, onBytes, onConnected) {
    this.usb = chip.usbCtrl
    this.cdc = new USBCDC(this.usb)
    this.queue = []
    this.pollBytes = 0 // that the waiting poll accepts
    this.sent = []
    this.onBytes = onBytes
    this.cdc.onSerialData = (bytes) => this.sent.push(Buffer.from(bytes))
    this.cdc.onDeviceConnected = onConnected
    this.usb.onEndpointRead = (endpoint, size) => {
      if (endpoint === this.cdc.outEndpoint) {
        this.pollBytes = size
        this.completePoll()
      }
    }
  }

  // Passes on the bytes that the program has printed since the last call.
  flush() {
    if (this.sent.length) {
      const bytes = Buffer.concat(this.sent)
      this.sent.length = 0
      this.onBytes(bytes)
    }
  }

  // Queues input for the program.
  write(bytes) {
    for (const byte of bytes) this.queue.push(byte)
    this.completePoll()
  }

  completePoll() {
    if (this.pollBytes && this.queue.length) {
      const bytes = Uint8Array.from(this.queue.splice(0, this.pollBytes))
      this.pollBytes = 0
      this.usb.endpointReadDone(this.cdc.outEndpoint, bytes)
    }
  }
}
