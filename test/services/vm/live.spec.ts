import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Context } from '../../../services/vm/machines/context.ts'
import { createLive } from '../../../services/vm/machines/live.ts'
import { sockets, startTimeOf } from '../../../services/vm/qemu/process.ts'

describe('vm: what is known of a machine that runs', () => {
  let folder: string
  const servers: Server[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-live-'))
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) server.close()
    await rm(folder, { recursive: true, force: true })
  })

  async function listen(path: string, serve: (socket: Socket) => void) {
    const server = createServer(serve).listen(path)
    servers.push(server)
    await once(server, 'listening')
  }

  it('is what QEMU told last, also where it changes right behind an answer', async () => {
    const run = join(folder, 'run')
    await mkdir(run)
    const { qmp, serial } = sockets(run)
    await listen(serial, () => {})
    let status = 'running'
    /** told in the same breath as the next answer to a look */
    let behind = ''
    await listen(qmp, socket => {
      socket.write('{"QMP":{}}\n')
      createInterface(socket).on('line', line => {
        const { id, execute } = JSON.parse(line)
        const isLook = execute === 'query-status'
        socket.write(`${JSON.stringify({ id, return: isLook ? { status } : {} })}\n${isLook ? behind : ''}`)
      })
    })
    const context = { machineFolder: () => folder, log: () => {}, now: Date.now } as unknown as Context
    const live = createLive('m', context, () => {})
    live.adopt({ pid: process.pid, startTime: startTimeOf(process.pid)! })
    try {
      await live.attach()
      assert.equal(live.observe().qmp, 'running')
      behind = '{"event":"STOP"}\n'
      await live.heartbeat()
      assert.equal(live.observe().qmp, 'paused')
      status = 'postmigrate'
      behind = ''
      await live.heartbeat()
      assert.equal(live.observe().qmp, 'postmigrate')
      behind = '{"event":"RESUME"}\n'
      await live.heartbeat()
      assert.equal(live.observe().qmp, 'running')
    } finally {
      live.detach()
    }
  })
})
