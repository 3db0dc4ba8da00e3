import { fork } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { table } from '../../node/cli/output.ts'
import { createSandbox, type Limits } from '../../sandbox/index.ts'
import { createCanary } from './canary.ts'
import { judge, summary, type Verdict } from './hostile-verdict.ts'

/**
 * `npm run hostile -- DIR`: runs every .js, .mjs and .cjs file of a folder as a stranger's task under a canary (a file,
 * an environment variable, a listening port, processes) and says of each what became of it. Exit code 1 if anything was
 * tripped, 3 if children did not start, of whose programs nothing is known.
 */
const USAGE = 'usage: npm run hostile -- DIR [--jobs N] [--timeout MS] [--memory MB] [--json]'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** programs at the same time, each with a process and a canary of its own, so that it is known who tripped it */
    jobs: { type: 'string', default: '1' },
    timeout: { type: 'string', default: '1000' },
    memory: { type: 'string', default: '128' },
    json: { type: 'boolean', default: false }
  }
})
const [folder] = positionals
const jobs = Number(values.jobs)
if (folder === undefined || positionals.length > 1 || !(jobs >= 1)) {
  console.error(USAGE)
  process.exit(2)
}

await (process.send === undefined ? lead(folder) : follow(folder))

/** One of those that run programs: a file in, its verdict out, until nobody asks any more. */
async function follow(folder: string): Promise<void> {
  const limits: Limits = {
    timeoutMs: Number(values.timeout),
    memoryMb: Number(values.memory),
    outputBytes: 1 << 20
  }
  const canary = await createCanary()
  const sandbox = createSandbox({ warm: 1 })
  await sandbox.start()
  if (!sandbox.walled) throw new Error(`walls are missing: ${JSON.stringify(sandbox.walls)}`)
  process.on('message', async (file: string) => {
    const source = readFileSync(join(folder, file), 'utf8')
    process.send!(
      await judge({ file, source }, canary, program =>
        sandbox.open(program, { limits, requester: 'stranger' })
      )
    )
  })
  process.once('disconnect', async () => {
    await sandbox.stop()
    await canary.close()
  })
  process.send!('ready')
}

async function lead(folder: string): Promise<void> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(file => /\.[cm]?js$/.test(file))
    .sort()
  const waiting = [...files]
  const verdicts: Verdict[] = []
  const lane = () =>
    new Promise<void>((resolve, reject) => {
      const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2))
      child.on('message', (answer: Verdict | 'ready') => {
        if (answer !== 'ready') {
          verdicts.push(answer)
          if (!values.json) console.log(`${answer.file}: ${answer.verdict} (${answer.detail})`)
        }
        const next = waiting.shift()
        if (next === undefined) child.disconnect()
        else child.send(next)
      })
      child.once('exit', code =>
        code === 0 ? resolve() : reject(new Error(`a process that runs programs ended with ${code}`))
      )
    })
  await Promise.all(Array.from({ length: Math.min(jobs, files.length) }, lane))
  verdicts.sort((a, b) => (a.file < b.file ? -1 : 1))
  if (values.json) console.log(JSON.stringify(verdicts))
  else console.log(`\n${table(['', 'programs', 'how they ended'], summary(verdicts))}`)
  const has = (verdict: Verdict['verdict']) => verdicts.some(each => each.verdict === verdict)
  process.exitCode = has('TRIPPED') ? 1 : has('did not start') ? 3 : 0
}
