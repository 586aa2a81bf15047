// I2C: each transfer is answered by a register model outside, while the chip's clock stands still.
//
// `ask(question, answered)` stops the chip until the answer comes; `tell(fact)` does not. A read
// is asked for in pieces ahead of need, for the peripheral does not know how long it will be; how
// much of it the program took is told at its end, and only that counts.
//
// Cause of the fix: a transmission that nobody acknowledges empties the queue, but rp2040js does
// not say so (TX_EMPTY), and the program would wait for it until its time limit.

import { I2CMode } from './rp2040.mjs'

const TX_EMPTY = 1 << 4

export function attachI2c(chip, number, ask, tell) {
  const i2c = chip.i2c[number]
  let address = 0
  let mode = null
  let written = []
  let ahead = []
  let taken = 0

  const finish = () => {
    if (mode === I2CMode.Write && written.length) {
      tell({ i2c: 'written', bus: number, address, data: written })
    } else if (mode === I2CMode.Read) {
      tell({ i2c: 'taken', bus: number, address, count: taken })
    }
    mode = null
    written = []
    taken = 0
  }

  i2c.onConnect = (target, wanted) => {
    finish()
    const reads = wanted === I2CMode.Read
    ask({ i2c: reads ? 'read' : 'write', bus: number, address: target }, (answer) => {
      if (answer === null) {
        i2c.completeConnect(false)
        i2c.setInterrupts(TX_EMPTY)
        return
      }
      address = target
      mode = wanted
      ahead = reads ? answer : []
      i2c.completeConnect(true)
    })
  }
  i2c.onWriteByte = (byte) => {
    written.push(byte)
    i2c.completeWrite(true)
  }
  i2c.onReadByte = () => {
    if (taken < ahead.length) {
      i2c.completeRead(ahead[taken++])
      return
    }
    ask({ i2c: 'more', bus: number, address }, (answer) => {
      ahead = ahead.concat(answer ?? [0xff])
      i2c.completeRead(ahead[taken++])
    })
  }
  i2c.onStop = () => {
    finish()
    i2c.completeStop()
  }
}
