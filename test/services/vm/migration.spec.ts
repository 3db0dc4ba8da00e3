import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { migrateIn } from '../../../services/vm/qemu/migration.ts'

describe('a state that goes into a guest', () => {
  const STATE = Buffer.alloc(100_000, 7)
  let run: string
  beforeEach(async () => {
    run = await mkdtemp(join(tmpdir(), 'artel-state-'))
  })
  afterEach(() => rm(run, { recursive: true, force: true }))

  /** Stands for QEMU, which closes once it has so much of the state, and says then what became of it. */
  async function load(status: string): Promise<number> {
    let had = 0
    const closed = Promise.withResolvers<void>()
    const server = createServer((socket: Socket) => {
      socket.on('data', bytes => {
        had += bytes.length
        if (had === STATE.length) socket.destroy()
      })
      socket.on('close', () => closed.resolve())
    })
    const ask = async (command: string): Promise<unknown> => {
      if (command === 'migrate-incoming') await once(server.listen(join(run, 'migrate.sock')), 'listening')
      return { status }
    }
    /** the end of the file comes after QEMU has closed */
    async function* file(): AsyncGenerator<Uint8Array> {
      yield STATE
      await closed.promise
      await new Promise(setImmediate)
    }
    try {
      await migrateIn({ ask } as never, run, Readable.from(file()), 60_000)
      return had
    } finally {
      server.close()
    }
  }

  it('is there when QEMU says so, which closes before the file is seen to end', async () => {
    assert.equal(await load('completed'), STATE.length)
  })

  it('is lost where QEMU says so', async () => {
    await assert.rejects(load('failed'), { name: 'QemuError', message: /was lost/ })
  })
})
