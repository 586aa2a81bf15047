// Flash memory of a Pico (2 MiB). It survives resets and, when it has a file, the emulator.
//
// Corrects rp2040js: its flash interface (SSI) is a stub, so the routines of the boot ROM that
// erase and program do nothing, and MicroPython finds no file system (`OSError: 19` from
// open(..., 'w')). Here breakpoints in the loaded ROM replace these routines.

import fs from 'node:fs'

const FLASH_BYTES = 2 * 1024 * 1024
const FLASH_BASE = 0x10000000 // in the chip's address space
const ROM_TABLE = 0x14 // address of the pointer to the ROM's function table
const BX_LR = 0x4770 // the instruction "return"
const BKPT = 0xbe00
const ERASE = 2
const PROGRAM = 3
const SSI = 0x18000
const SSI_DR0 = 0x60
const READ_UNIQUE_ID = 0x4b
const UNIQUE_ID = [0xe6, 0x61, 0x4c, 0x31, 0x1b, 0x5c, 0x1e, 0x2d]
const ID_OFFSET = 5 // the command and four idle bytes precede the number
// UF2, the format of files that are copied to a Pico's drive
const UF2_BLOCK = 512
const UF2_MAGIC = [0x0a324655, 0x9e5d5157, 0x0ab16f30]
const UF2_MAX_PAYLOAD = 476
const UF2_NOT_MAIN_FLASH = 1

export class Flash {
  // path: the file that keeps the memory; null keeps it as long as this object.
  constructor(path) {
    this.bytes = new Uint8Array(FLASH_BYTES).fill(0xff)
    this.file = null
    if (path) {
      this.file = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600)
      fs.readSync(this.file, this.bytes, 0, FLASH_BYTES, 0)
    }
  }

  // Writes a firmware image as flashing does: other parts of the memory stay as they are.
  install(imagePath) {
    loadImage(imagePath, this.bytes)
    if (this.file !== null) fs.writeSync(this.file, this.bytes, 0, FLASH_BYTES, 0)
  }

  // Gives this memory to a new chip; returns a Map of breakpoint numbers to their actions.
  attach(chip) {
    chip.flash.set(this.bytes)
    const rom = new DataView(chip.bootrom.buffer)
    const routines = { RE: ERASE, RP: PROGRAM, IF: 0, EX: 0, FC: 0 }
    for (let at = rom.getUint16(ROM_TABLE, true); rom.getUint16(at, true); at += 4) {
      const name = String.fromCharCode(rom.getUint8(at), rom.getUint8(at + 1))
      if (!(name in routines)) continue
      const address = rom.getUint16(at + 2, true) & ~1
      const breakpoint = routines[name]
      rom.setUint16(address, breakpoint ? BKPT | breakpoint : BX_LR, true)
      if (breakpoint) rom.setUint16(address + 2, BX_LR, true)
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
      // Programming can only clear bits.
      bytes[i] = this.bytes[offset + i] & chip.readUint8((source + i) >>> 0)
    }
    this.write(chip, offset, bytes)
  }

  write(chip, offset, bytes) {
    if (offset + bytes.length > FLASH_BYTES) return // a real chip would wrap around
    this.bytes.set(bytes, offset)
    chip.flash.set(bytes, offset)
    if (this.file !== null) fs.writeSync(this.file, bytes, 0, bytes.length, offset)
  }
}

// Copies an image into `flash`: a UF2 file, or the plain bytes from address 0 on.
function loadImage(path, flash) {
  const bytes = fs.readFileSync(path)
  if (bytes.length < UF2_BLOCK || bytes.readUInt32LE(0) !== UF2_MAGIC[0]) {
    copy(bytes, 0, flash, path)
    return
  }
  for (let at = 0; at + UF2_BLOCK <= bytes.length; at += UF2_BLOCK) {
    const block = bytes.subarray(at, at + UF2_BLOCK)
    const magic = [0, 4, UF2_BLOCK - 4].map((place) => block.readUInt32LE(place))
    const length = block.readUInt32LE(16)
    if (magic.some((value, i) => value !== UF2_MAGIC[i]) || length > UF2_MAX_PAYLOAD) {
      throw new Error(`${path} is a broken UF2 file (block ${at / UF2_BLOCK})`)
    }
    if (!(block.readUInt32LE(8) & UF2_NOT_MAIN_FLASH)) {
      copy(block.subarray(32, 32 + length), block.readUInt32LE(12) - FLASH_BASE, flash, path)
    }
  }
}

function copy(bytes, offset, flash, path) {
  if (offset < 0 || offset + bytes.length > flash.length) {
    throw new Error(`${path} does not fit into the flash memory of a Pico`)
  }
  flash.set(bytes, offset)
}

// Lets the flash chip return a serial number of 8 bytes, which is machine.unique_id(). Corrects
// rp2040js, whose stub returns zeros or ones to each command.
export function setUniqueId(chip) {
  const ssi = chip.peripherals[SSI]
  const write = ssi.writeUint32.bind(ssi)
  let position = -1
  ssi.writeUint32 = (offset, value) => {
    write(offset, value)
    if (offset !== SSI_DR0) return
    if (position < 0 && (value & 0xff) === READ_UNIQUE_ID) position = 0
    if (position < 0) return
    ssi.dr0 = position < ID_OFFSET ? 0 : UNIQUE_ID[position - ID_OFFSET]
    position = position + 1 < ID_OFFSET + UNIQUE_ID.length ? position + 1 : -1
  }
}
