// Firmware images: UF2 as it is copied to a Pico's drive, or the plain bytes from address 0 on.

import fs from 'node:fs'

const FLASH_BASE = 0x10000000
const BLOCK = 512
const MAGIC_START = 0x0a324655
const MAGIC_SECOND = 0x9e5d5157
const MAGIC_END = 0x0ab16f30
const NOT_MAIN_FLASH = 1

// Writes an image into `flash`, as flashing does: what it does not name stays as it is.
export function loadImage(path, flash) {
  const bytes = fs.readFileSync(path)
  if (bytes.length < BLOCK || bytes.readUInt32LE(0) !== MAGIC_START) {
    place(bytes, 0, flash, path)
    return
  }
  for (let at = 0; at + BLOCK <= bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK)
    const magic = [block.readUInt32LE(0), block.readUInt32LE(4), block.readUInt32LE(BLOCK - 4)]
    const length = block.readUInt32LE(16)
    if (magic[0] !== MAGIC_START || magic[1] !== MAGIC_SECOND || magic[2] !== MAGIC_END || length > 476) {
      throw new Error(`${path} is a broken UF2 file (block ${at / BLOCK})`)
    }
    if (!(block.readUInt32LE(8) & NOT_MAIN_FLASH)) {
      place(block.subarray(32, 32 + length), block.readUInt32LE(12) - FLASH_BASE, flash, path)
    }
  }
}

function place(bytes, offset, flash, path) {
  if (offset < 0 || offset + bytes.length > flash.length) {
    throw new Error(`${path} does not fit into the flash memory of a Pico`)
  }
  flash.set(bytes, offset)
}
