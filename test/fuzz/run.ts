import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { corpusOf, targets } from './corpus.ts'
import { mutated } from './mutate.ts'
import { isHarmless } from './target.ts'

/*
 * `npm run fuzz -- NAME… --minutes N`: inputs near real ones for so long, for each target (default: all, a minute each);
 * `--cases N` tries so many instead, however long that takes.
 * What does harm is shrunk, kept in `corpus/NAME/` and tried by every `npm test` from then on.
 */
const BATCH = 500

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      minutes: { type: 'string', default: '1' },
      cases: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  if (values.help) {
    console.log(`usage: npm run fuzz -- [NAME…] [--minutes N | --cases N]
targets: ${Object.keys(targets).join(', ')}; without NAME all of them
example: npm run fuzz -- ${Object.keys(targets)[0]} --minutes 5`)
    return
  }
  const minutes = Number(values.minutes)
  if (!(minutes > 0)) throw new Error(`--minutes takes a number above 0, got "${values.minutes}"`)
  const cases = values.cases == null ? Number.POSITIVE_INFINITY : Number(values.cases)
  if (!(cases > 0)) throw new Error(`--cases takes a number above 0, got "${values.cases}"`)
  const patienceMs = values.cases == null ? minutes * 60_000 : Number.POSITIVE_INFINITY

  for (const name of positionals.length > 0 ? positionals : Object.keys(targets)) {
    const open = targets[name]
    if (open == null)
      throw new Error(`there is no target "${name}"; there are ${Object.keys(targets).join(', ')}`)
    const target = await open()
    const inputs = mutated([...target.real, ...corpusOf(name).map(({ bytes }) => bytes)])
    let tried = 0
    const begun = Date.now()
    for (; tried < cases && Date.now() < begun + patienceMs; tried += BATCH) {
      const property = fc.asyncProperty(inputs, bytes => isHarmless(target, bytes))
      const left = begun + patienceMs - Date.now()
      const found = await fc.check(property, {
        numRuns: BATCH,
        ...(Number.isFinite(left) ? { interruptAfterTimeLimit: left } : {})
      })
      if (!found.failed || found.counterexample == null) continue
      const [bytes] = found.counterexample
      const folder = join(import.meta.dirname, 'corpus', name)
      const file = join(folder, `${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.bin`)
      mkdirSync(folder, { recursive: true })
      writeFileSync(file, bytes)
      console.error(`${name}: ${file}\n${String(found.errorInstance ?? 'failed')}`)
      process.exitCode = 1
      break
    }
    console.log(`${name}: ${tried} inputs, ${Math.round((Date.now() - begun) / 1000)} s`)
    await target.close?.()
  }
}

main().catch((error: Error) => {
  console.error(`fuzz: ${error.message}`)
  process.exitCode = 2
})
