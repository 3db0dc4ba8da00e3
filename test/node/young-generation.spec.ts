import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

const MODULE = new URL('../../node/cli/young-generation.ts', import.meta.url).href

/** As `artel.js` sets it, in a process of its own: the sizes that it saw while it made garbage in turns of the event loop. */
async function sizes(follow: boolean): Promise<number[]> {
  const program = `
    import v8 from 'node:v8'
    import { growWhileBusy, youngBytes } from '${MODULE}'
    v8.setFlagsFromString('--semi-space-growth-factor=1')
    if (${follow}) growWhileBusy(AbortSignal.timeout(600_000))
    const seen = [youngBytes()]
    const kept = []
    let more = 20
    for (const end = performance.now() + ${follow ? 300_000 : 1000}; performance.now() < end; ) {
      for (let i = 0; i < 100; i++) {
        kept.push(Array.from({ length: 50 }, (_, k) => ({ k, text: 'x' + k })))
        if (kept.length > 1000) kept.splice(0, 500)
      }
      if (youngBytes() !== seen.at(-1)) seen.push(youngBytes())
      // as large as it gets; a little longer, to see that it stays
      if (seen.at(-1) >= 32 << 20 && more-- === 0) break
      await new Promise(resolve => setTimeout(resolve, more < 20 ? 50 : 0))
    }
    console.log(JSON.stringify(seen))`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 500_000
  })
  return JSON.parse(await text(child.stdout))
}

describe('node: the young generation', () => {
  it('grows while a node works, to its bound; else it stays as small as it began', async () => {
    const small = await sizes(false)
    assert.ok(Math.max(...small) <= 4 << 20, `it is ${small.join()} bytes`)
    const seen = await sizes(true)
    assert.ok(seen.at(-1)! >= 32 << 20, `it became ${seen.join()} bytes`)
    assert.ok(Math.max(...seen) < 128 << 20, `it became ${seen.join()} bytes`)
  })
})
