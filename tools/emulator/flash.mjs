// Flash memory of a Pico (2 MiB): survives resets and, when it has a file, the emulator's end.
//
// Cause of the fix: rp2040js models the flash interface (SSI) as a stub, so the boot ROM's routines
// that send it erase and program commands do nothing, and MicroPython finds no file system
// (`OSError: 19` from open(..., 'w')). The routines are replaced by breakpoints in the loaded ROM.

import fs from 'node:fs'

export const FLASH_BYTES = 2 * 1024 * 1024
const ROM_TABLE = 0x14 // address of the pointer to the ROM's function table
const BX_LR = 0x4770
const BKPT = 0xbe00
const ERASE = 2
const PROGRAM = 3
const SSI = 0x18000
const SSI_DR0 = 0x60
const READ_UNIQUE_ID = 0x4b
const ID_OFFSET = 5 // the command and four idle bytes come first

export class Flash {
  constructor(path) {
    this.bytes = new Uint8Array(FLASH_BYTES).fill(0xff)
    this.file = null
    if (path) {
      this.file = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600)
      fs.readSync(this.file, this.bytes, 0, FLASH_BYTES, 0)
      fs.writeSync(this.file, this.bytes, 0, FLASH_BYTES, 0)
    }
  }

  // A new chip sees this memory; its erasing and programming end up here. Returns the hooks by
  // the number of their breakpoint.
  attach(chip) {
    chip.flash.set(this.bytes)
    const rom = new DataView(chip.bootrom.buffer)
    const routines = { RE: ERASE, RP: PROGRAM, IF: 0, EX: 0, FC: 0 }
    for (let at = rom.getUint16(ROM_TABLE, true); rom.getUint16(at, true); at += 4) {
      const name = String.fromCharCode(rom.getUint8(at), rom.getUint8(at + 1))
      if (!(name in routines)) continue
      const address = rom.getUint16(at + 2, true) & ~1
      const hook = routines[name]
      rom.setUint16(address, hook ? BKPT | hook : BX_LR, true)
      if (hook) rom.setUint16(address + 2, BX_LR, true)
    }
    return new Map([
      [ERASE, () => this.erase(chip)],
      [PROGRAM, () => this.program(chip)],
    ])
  }

  erase(chip) {
    const [offset, count] = chip.core.registers
    this.write(chip, offset, new Uint8Array(count).fill(0xff))
  }

  program(chip) {
    const [offset, source, count] = chip.core.registers
    const bytes = new Uint8Array(count)
    for (let i = 0; i < count; i++) {
      bytes[i] = this.bytes[offset + i] & chip.readUint8((source + i) >>> 0) // bits only fall
    }
    this.write(chip, offset, bytes)
  }

  write(chip, offset, bytes) {
    if (offset + bytes.length > FLASH_BYTES) return // a real chip would wrap around
    this.bytes.set(bytes, offset)
    chip.flash.set(bytes, offset)
    if (this.file !== null) fs.writeSync(this.file, bytes, 0, bytes.length, offset)
  }

  // The image as the boot loader would write it, kept in the file too.
  install(load) {
    load(this.bytes)
    if (this.file !== null) fs.writeSync(this.file, this.bytes, 0, FLASH_BYTES, 0)
  }
}

// Lets the flash chip answer its serial number, 8 bytes. Cause: the stub answers every command
// with zeros or ones, so all boards would have the same machine.unique_id().
export function giveUniqueId(chip, id) {
  const ssi = chip.peripherals[SSI]
  const write = ssi.writeUint32.bind(ssi)
  let position = -1
  ssi.writeUint32 = (offset, value) => {
    write(offset, value)
    if (offset !== SSI_DR0) return
    if (position < 0 && (value & 0xff) === READ_UNIQUE_ID) position = 0
    if (position < 0) return
    ssi.dr0 = position < ID_OFFSET ? 0 : id[position - ID_OFFSET]
    position = position + 1 < ID_OFFSET + id.length ? position + 1 : -1
  }
}

