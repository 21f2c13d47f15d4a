#!/usr/bin/env node
import { text } from 'node:stream/consumers'
import { runCli } from './commands/cli.js'

const code = await runCli(process.argv.slice(2), {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  env: process.env,
  stdin: () => text(process.stdin),
  input: () => process.stdin,
  output: () => process.stdout
})
// Agenda's timers would hold an ended process for seconds; what is still being written to a pipe gets out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
