// The clock: lets the chip run up to a moment of its own time, or beside the time of this computer.
//
// Virtual time: it moves only up to the `limit` that run() sets; idle time is skipped. Real time:
// the limit is the wall clock, so that sleeps take as long as they say. Where the emulation cannot
// keep up, it may lag by LAG_NANOS and then makes up for it in idle time; more is forgotten.

const SLICE_MS = 4 // after which sockets and commands get a turn
const BATCH = 16 // stretches of work between looks at this computer's clock
const LAG_NANOS = 100e6
const NANOS_PER_MS = 1e6
const NEAR = 1 // nanosecond: alarms may lie between two, and sums of them are rounded

export class Runner {
  // board: { chip, nanos, pass(nanos), flush() }; chip is null while the power is off.
  constructor(board, realtime) {
    this.board = board
    this.blocked = false // waiting for an answer: the chip stands still
    this.limit = 0
    this.waiting = [] // of run(): { nanos, done }
    this.timer = null
    this.queued = false
    this.setRealtime(realtime)
  }

  setRealtime(realtime) {
    this.realtime = realtime
    this.anchor()
    if (!realtime) this.limit = this.board.nanos
    this.kick()
  }

  // Calls `done` when `ms` more have passed on the chip's clock.
  run(ms, done) {
    const nanos = this.board.nanos + ms * NANOS_PER_MS
    this.waiting.push({ nanos, done })
    this.limit = Math.max(this.limit, nanos)
    this.kick()
  }

  // Something came from outside: it happens now, also for a chip that has been idle for a while.
  input(happen) {
    const { chip } = this.board
    if (this.realtime && !this.blocked && (chip === null || chip.core.waiting)) {
      this.advance(this.realLimit())
    }
    happen()
    this.kick()
  }

  block() {
    this.blocked = true
  }

  unblock() {
    this.blocked = false
    this.anchorAfterWait()
    this.kick()
  }

  kick() {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (!this.queued) {
      this.queued = true
      setImmediate(() => {
        this.queued = false
        this.slice()
      })
    }
  }

  slice() {
    const { board } = this
    if (this.blocked) return
    const limit = this.realtime ? this.realLimit() : this.limit
    const idle = this.advance(limit)
    board.flush()
    this.report()
    if (this.blocked) return
    if (!this.realtime) {
      if (board.nanos + NEAR < this.limit) this.kick()
    } else if (idle || board.nanos + NEAR >= limit) {
      const next = board.chip?.clock.nextAlarm
      const wait = next ? (next.nanos - board.chip.clock.nanos) / NANOS_PER_MS : 1000
      this.timer = setTimeout(() => this.kick(), Math.max(1, Math.min(wait, this.untilWanted(), 1000)))
    } else {
      this.kick()
    }
  }

  // Runs up to `limit` or for a slice; true when the chip is idle up to there.
  advance(limit) {
    const { board } = this
    const end = performance.now() + SLICE_MS
    while (board.nanos + NEAR < limit && !this.blocked) {
      const { chip } = board
      if (chip === null) {
        board.pass(limit - board.nanos)
        return true
      }
      const { core, clock } = chip
      const stop = clock.nanos + limit - board.nanos
      for (let i = 0; i < BATCH && !this.blocked && !chip.dead; i++) {
        if (!core.waiting) {
          chip.work(stop)
        } else {
          board.flush()
          const next = clock.nextAlarm
          if (next === null || next.nanos > stop) {
            if (clock.nanos < stop) clock.tick(stop - clock.nanos)
            if (core.waiting) return true
          } else {
            clock.tick(next.nanos - clock.nanos)
          }
        }
        if (clock.nanos >= stop) break
      }
      if (chip.dead) board.restart()
      if (performance.now() > end) return false
    }
    return false
  }

  report() {
    const { nanos } = this.board
    const passed = this.waiting.filter((entry) => entry.nanos <= nanos + NEAR)
    if (passed.length) {
      this.waiting = this.waiting.filter((entry) => entry.nanos > nanos + NEAR)
      for (const entry of passed) entry.done()
    }
  }

  untilWanted() {
    const wanted = Math.min(...this.waiting.map((entry) => entry.nanos))
    return (wanted - this.board.nanos) / NANOS_PER_MS
  }

  anchor() {
    this.wallAnchor = performance.now()
    this.nanosAnchor = this.board.nanos
  }

  anchorAfterWait() {
    if (this.realtime && this.realLimit() - this.board.nanos > LAG_NANOS) this.anchor()
  }

  realLimit() {
    const limit = this.nanosAnchor + (performance.now() - this.wallAnchor) * NANOS_PER_MS
    const lag = limit - this.board.nanos - LAG_NANOS
    if (lag <= 0) return limit
    this.nanosAnchor -= lag
    return limit - lag
  }
}
