import { strict as assert } from 'node:assert'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'vite'
import { findNode } from '../../node/sdk/find-node.ts'
import { connect } from '../../node/sdk/index.ts'

const ENTRY = fileURLToPath(new URL('../../node/sdk/browser.ts', import.meta.url))
// zod alone, which the wire's schemas would bring, is more than this
const MOST_BYTES = 48_000

describe('node: SDK for the browser', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-browser-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('is bundled without anything of Node, small, and works', async () => {
    const built = await build({
      configFile: false,
      logLevel: 'silent',
      build: { write: false, lib: { entry: ENTRY, formats: ['es'], fileName: 'sdk' } }
    })
    const [{ output }] = built as unknown as [{ output: { code: string; imports: string[] }[] }]
    assert.equal(output.length, 1)
    const { code, imports } = output[0]!
    assert.deepEqual(imports, [])
    assert.doesNotMatch(code, /\bprocess\.|\bBuffer\b|["']node:/)
    assert.ok(code.length < MOST_BYTES, `${code.length} bytes`)

    const file = join(folder, 'sdk.mjs')
    await writeFile(file, code)
    const browser: typeof import('../../node/sdk/browser.ts') = await import(pathToFileURL(file).href)
    const data = join(folder, 'node')
    await using node = await connect({ embedded: true, data, settings: { logLevel: 'silent' } })
    await using artel = await browser.connect(await findNode(data))
    assert.deepEqual(await artel.map([1n, 2n], x => x * 2n), [2n, 4n])
    assert.equal((await artel.balance()).account, (await node.balance()).account)
  })
})
