// Lets the chip run: up to a moment of its own clock, or in step with this computer's clock.
//
// Virtual time: the chip's clock advances only up to the limit that run() sets; idle time is
// skipped. Real time: the limit is this computer's clock, so that sleeps take their time. Where
// the emulation is too slow, it may lag by MAX_LAG_NANOS and catches up in idle time; a longer lag
// is not made up for.

const SLICE_MS = 4 // of this computer's time; then sockets and commands are served
const BATCH = 16 // calls of work() between two checks of this computer's clock
const MAX_LAG_NANOS = 100e6
const MAX_WAIT_MS = 1000
const NANOS_PER_MS = 1e6
const TOLERANCE_NANOS = 1 // the moments of alarms are fractions, and their sums are rounded

export class Pacing {
  // board: { chip, nanos, pass(nanos), flush(), restart() }; chip is null without power.
  constructor(board, realtime) {
    this.board = board
    this.blocked = false // the chip stands still until a reply comes
    this.limit = 0
    this.waiting = [] // calls of run(): { nanos, done }
    this.timer = null
    this.queued = false
    this.setRealtime(realtime)
  }

  // Chooses between real time and virtual time.
  setRealtime(realtime) {
    this.realtime = realtime
    this.anchor()
    if (!realtime) this.limit = this.board.nanos
    this.wake()
  }

  // Calls `done` when `ms` more have passed on the chip's clock.
  run(ms, done) {
    const nanos = this.board.nanos + ms * NANOS_PER_MS
    this.waiting.push({ nanos, done })
    this.limit = Math.max(this.limit, nanos)
    this.wake()
  }

  // Runs `action`, an input from outside. An idle chip's clock is first set to the present.
  input(action) {
    const { chip } = this.board
    if (this.realtime && !this.blocked && (chip === null || chip.core.waiting)) {
      this.advance(this.realLimit())
    }
    action()
    this.wake()
  }

  // Stops the chip's clock.
  block() {
    this.blocked = true
  }

  // Starts the chip's clock again.
  unblock() {
    this.blocked = false
    if (this.realtime && this.realLimit() - this.board.nanos > MAX_LAG_NANOS) this.anchor()
    this.wake()
  }

  // Schedules a slice of work.
  wake() {
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
    this.finishRuns()
    if (this.blocked) return
    if (!this.realtime) {
      if (board.nanos + TOLERANCE_NANOS < this.limit) this.wake()
    } else if (idle || board.nanos + TOLERANCE_NANOS >= limit) {
      this.timer = setTimeout(() => this.wake(), this.msUntilNextEvent())
    } else {
      this.wake()
    }
  }

  // Runs up to `limit` or for a slice; returns true when the chip is idle until then.
  advance(limit) {
    const { board } = this
    const end = performance.now() + SLICE_MS
    while (board.nanos + TOLERANCE_NANOS < limit && !this.blocked) {
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

  finishRuns() {
    const now = this.board.nanos + TOLERANCE_NANOS
    const finished = this.waiting.filter((entry) => entry.nanos <= now)
    if (finished.length) this.waiting = this.waiting.filter((entry) => entry.nanos > now)
    for (const entry of finished) entry.done()
  }

  msUntilNextEvent() {
    const { chip, nanos } = this.board
    const times = this.waiting.map((entry) => entry.nanos - nanos)
    if (chip?.clock.nextAlarm) times.push(chip.clock.nextAlarm.nanos - chip.clock.nanos)
    return Math.max(1, Math.min(MAX_WAIT_MS, ...times.map((span) => span / NANOS_PER_MS)))
  }

  // Equates the present of both clocks.
  anchor() {
    this.wallAnchor = performance.now()
    this.nanosAnchor = this.board.nanos
  }

  // Returns the present of this computer on the chip's clock.
  realLimit() {
    const limit = this.nanosAnchor + (performance.now() - this.wallAnchor) * NANOS_PER_MS
    const excess = limit - this.board.nanos - MAX_LAG_NANOS
    if (excess <= 0) return limit
    this.nanosAnchor -= excess
    return limit - excess
  }
}
