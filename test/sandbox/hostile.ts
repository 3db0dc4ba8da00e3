import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createSandbox, encodeValue, type Limits, type Program, type Sandbox } from '../../sandbox/index.ts'
import { createCanary } from './canary.ts'

/**
 * `npm run hostile -- DIR`: runs every .js, .mjs and .cjs file of a folder as a stranger's task under a canary (a file,
 * an environment variable, a listening port, processes) and reports what was tripped. Exit code 1 if anything was.
 */
const USAGE = 'usage: npm run hostile -- DIR [--timeout MS] [--memory MB] [--json]'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    timeout: { type: 'string', default: '1000' },
    memory: { type: 'string', default: '128' },
    json: { type: 'boolean', default: false }
  }
})
const folder = positionals[0]
if (folder === undefined || positionals.length > 1) {
  console.error(USAGE)
  process.exit(2)
}
const limits: Limits = {
  timeoutMs: Number(values.timeout),
  memoryMb: Number(values.memory),
  outputBytes: 1 << 20
}

/** A file may hold a module, a function, or (most of them) a script. The first that parses is run. */
async function open(sandbox: Sandbox, source: string, context: Uint8Array) {
  const forms: Program[] = [
    { kind: 'module', source },
    { kind: 'function', source },
    { kind: 'function', source: `async function () {${source}\n}` }
  ]
  let reason: unknown
  for (const form of forms) {
    try {
      return await sandbox.open({ ...form, context }, { limits, requester: 'stranger' })
    } catch (error) {
      if ((error as Error).name !== 'ProgramError') throw error
      reason = error
    }
  }
  return (reason as Error).message
}

const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter(file => /\.[cm]?js$/.test(file))
  .sort()
const canary = await createCanary()
const sandbox = createSandbox()
await sandbox.start()
const rows: { file: string; end: string; trips: string[] }[] = []
try {
  for (const file of files) {
    const session = await open(sandbox, readFileSync(join(folder, file), 'utf8'), encodeValue(canary.bait))
    let end = 'does not parse'
    let seen = ''
    if (typeof session !== 'string') {
      const [outcome] = await session.run([encodeValue(canary.bait)])
      end = outcome!.ok ? 'answered' : outcome!.failure.name
      seen = outcome!.ok ? Buffer.from(outcome!.value).toString('latin1') : JSON.stringify(outcome!.failure)
      await session.close()
    }
    rows.push({ file, end, trips: canary.trips(seen) })
    if (!values.json)
      console.log(
        `${file}: ${end}${rows
          .at(-1)!
          .trips.map(trip => ` TRIPPED: ${trip}`)
          .join('')}`
      )
  }
} finally {
  await sandbox.stop()
  await canary.close()
}
const tripped = rows.filter(row => row.trips.length > 0)
if (values.json) console.log(JSON.stringify(rows))
else console.log(`${rows.length} programs, ${tripped.length} tripped the canary`)
process.exitCode = tripped.length > 0 ? 1 : 0
