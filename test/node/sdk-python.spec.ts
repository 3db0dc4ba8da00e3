import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect } from '../../node/sdk/index.ts'
import { encodeValue } from '../../sandbox/index.ts'

const BUILD = fileURLToPath(new URL('../../node/sdk/python/build_wheel.py', import.meta.url))
const HERE = fileURLToPath(new URL('.', import.meta.url))
const PYTHON = '/usr/bin/python3'
const RUN_MS = 400_000

const VALUES = [
  ...[0, 23, 24, 255, 256, 65_536, 2 ** 32, 2 ** 53 - 1, -1, -25, 1 - 2 ** 53, 2n ** 53n, -(2n ** 64n)],
  ...[1.5, -0, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324, true, false, null, '', 'ä€😀', '\ud800x'],
  ...[[], [1, [2]], {}, { b: 1, 10: 2, 9: 3 }, new Uint8Array([1]), new Float64Array([1, Number.NaN])],
  ...[new Int8Array([-1]), new Uint16Array([1]), new BigInt64Array([-1n]), new Float32Array([0.5])]
]

/** What a program says; throws with all of it where it fails. */
function run(args: string[], env: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...env }, timeout: RUN_MS }
    execFile(PYTHON, args, options, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`${error.message}\n${stdout}\n${stderr}`))
    )
  })
}

describe('node: SDK for Python', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-sdk-python-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('computes as the standard library’s executors do, from its wheel alone', async () => {
    const wheel = (await run([BUILD])).trim()
    const vectors = join(folder, 'vectors.json')
    await writeFile(
      vectors,
      JSON.stringify(VALUES.map(value => Buffer.from(encodeValue(value)).toString('hex')))
    )
    const data = join(folder, 'node')
    await using _ = await connect({ embedded: true, data, settings: { logLevel: 'silent' } })
    const env = { PYTHONPATH: `${wheel}:${HERE}`, ARTEL_DATA: data, VECTORS: vectors }
    await assert.doesNotReject(run(['-m', 'unittest', 'sdk_python'], env))
  }).timeout(RUN_MS + 60_000)
})
