// Ends this program when whoever started it is gone, also while it is stuck in a loop: the end of
// stdin tells only a program that gets to read it. So a thread of its own looks after the parent.

import { Worker } from 'node:worker_threads'

const LOOK_MS = 500
const WATCH = `
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
  }, ${LOOK_MS})
`

export function dieWithParent() {
  new Worker(WATCH, { eval: true }).unref()
}
