#!/usr/bin/env node
// Plain JavaScript, because an old Node cannot even read main.ts to be told that it is too old.
import module from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

const LEAST_NODE_MAJOR = 24
const EXIT_MACHINE = 3

if (Number(process.versions.node.split('.')[0]) < LEAST_NODE_MAJOR) {
  process.stderr.write(
    `artel: Node ${process.version} is too old, Artel needs Node ${LEAST_NODE_MAJOR} or newer; in a checkout, npm brings one: npm run artel -- ${process.argv.slice(2).join(' ')}\n`
  )
  process.exit(EXIT_MACHINE)
}
// Saves the compiler of TypeScript and 20 MB. Not in the shared temporary folder: who can write there could write our code.
module.enableCompileCache(join(homedir(), '.cache', 'artel'))
await import('./main.ts')
