// Ends this program when whoever started it is gone, also while it is stuck in a loop: the end of
// stdin tells only a program that gets to read it. So a thread of its own looks after the parent.

import { Worker } from 'node:worker_threads'

const LOOK_MS = 500
const WATCH = `
  const { workerData: parent } = require('node:worker_threads')
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
  }, ${LOOK_MS})
`

export function dieWithParent() {
  // The parent is noted here: it may be gone before the thread has started.
  new Worker(WATCH, { eval: true, workerData: process.ppid }).unref()
}
