// The emulated Pico as a program: reads commands from stdin and writes events to stdout.
//
//     node main.mjs '{"image": ..., "bootrom": ..., "flash": ..., "udp": {...}, ...}'
//
// Commands and events are lines of JSON. Each command has an `id` and causes one event with it:
// `value`, or `error` in one line. {"reply": bytes or null} replies to an I2C event. The program
// ends with stdin, or with its parent. pico.py describes the options.

import fs from 'node:fs'
import readline from 'node:readline'
import { endWithParent } from './parent_watch.mjs'

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
process.on('SIGINT', () => {}) // Ctrl-C at a terminal is for the parent
process.stdout.on('error', () => process.exit(0))

endWithParent()
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
const { pacing } = board

// Each function does a command; its result is the value that is sent back.
const commands = {
  power: ({ on }) => pacing.input(() => board.power(on)),
  reset: () => pacing.input(() => board.pressReset()),
  pin: ({ pin, level }) => pacing.input(() => board.pins.drive(pin, level)),
  level: ({ pin }) => board.pins.level(pin),
  watch: ({ pin }) => board.pins.watch(pin),
  adc: ({ channel, mv }) => pacing.input(() => board.setAdc(channel, mv)),
  uart: ({ uart, data }) => pacing.input(() => board.toUart(uart, Buffer.from(data, LATIN1))),
  usb: ({ data }) => pacing.input(() => board.toConsole(Buffer.from(data, LATIN1))),
  time: () => board.nanos / 1e6,
  realtime: ({ on }) => pacing.setRealtime(on),
  run: ({ ms }, id) => pacing.run(ms, () => emit({ id, value: board.nanos / 1e6 })),
}

readline
  .createInterface({ input: process.stdin, crlfDelay: Infinity })
  .on('line', (line) => {
    const command = JSON.parse(line)
    if ('reply' in command) {
      board.reply(command.reply)
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
