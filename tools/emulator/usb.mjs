// The USB host at the other end of the cable: takes the console's bytes, gives it what is typed.
//
// Cause of the fix: rp2040js answers each poll for input with an empty packet at once, for ever.
// The program's USB stack then never comes to rest, takes most of the processor's time, and a
// sleeping program is never idle. Here a poll waits until there is something to type.

import { USBCDC } from './rp2040.mjs'

export class Console {
  constructor(chip, onBytes, onConnected) {
    const usb = chip.usbCtrl
    this.cdc = new USBCDC(usb)
    this.queue = []
    this.polled = 0 // bytes that the program would take now
    this.sent = []
    this.onBytes = onBytes
    this.connected = false
    this.cdc.onSerialData = (bytes) => this.sent.push(Buffer.from(bytes))
    this.cdc.onDeviceConnected = () => {
      this.connected = true
      onConnected()
    }
    usb.onEndpointRead = (endpoint, size) => {
      if (endpoint === this.cdc.outEndpoint) {
        this.polled = size
        this.answer(usb)
      }
    }
    this.usb = usb
  }

  flush() {
    if (this.sent.length) {
      const bytes = Buffer.concat(this.sent)
      this.sent.length = 0
      this.onBytes(bytes)
    }
  }

  write(bytes) {
    for (const byte of bytes) this.queue.push(byte)
    this.answer(this.usb)
  }

  answer(usb) {
    if (this.polled && this.queue.length) {
      const bytes = Uint8Array.from(this.queue.splice(0, this.polled))
      this.polled = 0
      usb.endpointReadDone(this.cdc.outEndpoint, bytes)
    }
  }
}
