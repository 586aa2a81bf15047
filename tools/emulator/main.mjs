// The emulated Pico as a program: JSON lines on stdin are commands, those on stdout its events.
//
//     node main.mjs '{"image": ..., "bootrom": ..., "flash": ..., "udp": {...}, ...}'
//
// Each command has an `id` and gets one event with it: `value`, or `error` as one line. The end of
// stdin ends the program, and so does that of whoever started it.

import fs from 'node:fs'
import readline from 'node:readline'
import { dieWithParent } from './orphan.mjs'

const LATIN1 = 'latin1'

function emit(event) {
  process.stdout.write(JSON.stringify(event) + '\n')
}

function fail(error) {
  process.stderr.write(`${error.message}\n`)
  process.exit(2)
}

process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.stack}\n${error.message}\n`)
  process.exit(1)
})
process.on('SIGINT', () => {}) // a terminal's Ctrl-C is for whoever started this
process.stdout.on('error', () => process.exit(0))

dieWithParent()
const { Board } = await import('./board.mjs').catch(fail)
const options = JSON.parse(process.argv[2])
const rom = fs.readFileSync(options.bootrom)
options.bootrom = new Uint32Array(rom.buffer.slice(rom.byteOffset, rom.byteOffset + rom.length))

let board
try {
  board = new Board(options, emit)
} catch (error) {
  fail(error)
}
const { runner } = board

// What a command does; its result is the value that is sent back.
const commands = {
  power: ({ on }) => runner.input(() => board.power(on)),
  reset: () => runner.input(() => board.pressReset()),
  pin: ({ pin, level }) => runner.input(() => board.pins.drive(pin, level)),
  level: ({ pin }) => board.pins.level(pin),
  watch: ({ pin }) => board.pins.watch(pin),
  adc: ({ channel, mv }) => runner.input(() => board.setAdc(channel, mv)),
  uart: ({ uart, data }) => runner.input(() => board.toUart(uart, Buffer.from(data, LATIN1))),
  usb: ({ data }) => runner.input(() => board.toConsole(Buffer.from(data, LATIN1))),
  time: () => board.nanos / 1e6,
  realtime: ({ on }) => runner.setRealtime(on),
  counters: () => ({ boots: board.boots, ...board.nat.counters, ppp: board.peer?.counters ?? null }),
  run: ({ ms }, id) => runner.run(ms, () => emit({ id, value: board.nanos / 1e6 })),
}

readline
  .createInterface({ input: process.stdin, crlfDelay: Infinity })
  .on('line', (line) => {
    const command = JSON.parse(line)
    if ('answer' in command) {
      board.answer(command.answer)
      return
    }
    try {
      const value = commands[command.do](command, command.id)
      if (command.do !== 'run') emit({ id: command.id, value: value ?? null })
    } catch (error) {
      emit({ id: command.id, error: error.message })
    }
  })
  .on('close', () => process.exit(0))

try {
  const { udp } = options
  const port = udp && (await board.nat.redirect(udp.host, udp.port, udp.guestPort))
  emit({ event: 'ready', port: port || null })
} catch (error) {
  fail(error)
}
