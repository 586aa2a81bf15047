// Ends this program when its parent has ended, even while it is in an endless loop.
//
// The end of stdin alone would end only a program that reads it, so a thread checks the parent.

import { Worker } from 'node:worker_threads'

const CHECK_MS = 500
const WATCH = `
  const { workerData: parent } = require('node:worker_threads')
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
  }, ${CHECK_MS})
`

export function endWithParent() {
  // The parent is read here: it may have ended before the thread has started.
  new Worker(WATCH, { eval: true, workerData: process.ppid }).unref()
}
