import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lockFolder } from '../../node/lock.ts'

const LOCK = fileURLToPath(new URL('../../node/lock.ts', import.meta.url))

const lockingScript = (folder: string): string =>
  `import { lockFolder } from ${JSON.stringify(LOCK)}; lockFolder(${JSON.stringify(folder)}); console.log('locked'); setInterval(() => {}, 1000)`

describe('node: lock of the data folder', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-lock-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('lets one in, names its pid to the next, and lets the next in afterwards', () => {
    const release = lockFolder(folder)
    assert.throws(() => lockFolder(folder), {
      name: 'LockError',
      message: new RegExp(`${folder}.*process ${process.pid};`)
    })
    release()
    lockFolder(folder)()
  })

  it('is held though nobody keeps how to release it and the garbage is collected', async () => {
    const child = spawn(
      process.execPath,
      [
        '--expose-gc',
        '--input-type=module',
        '-e',
        `${lockingScript(folder)}; for (let i = 0; i < 5; i++) { gc(); await new Promise(setImmediate) }; console.log('collected')`
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] }
    )
    try {
      let said = ''
      for await (const chunk of child.stdout) {
        said += chunk
        if (said.includes('collected')) break
      }
      assert.match(said, /collected/)
      assert.throws(() => lockFolder(folder), { name: 'LockError' })
    } finally {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })

  it('ends with the process that has it, also by kill −9', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', lockingScript(folder)], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    try {
      await once(child.stdout, 'data')
      assert.throws(() => lockFolder(folder), {
        name: 'LockError',
        message: new RegExp(`process ${child.pid};`)
      })
    } finally {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    lockFolder(folder)()
  })
})
