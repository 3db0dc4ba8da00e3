import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startPostgres } from '../../../node/demo/vm-postgres.ts'
import { runLine } from '../../../services/vm/commands/run-line.ts'
import { leftLayers } from '../../../services/vm/store/layers.ts'
import { openPostgres } from '../../../services/vm/store/postgres.ts'
import { type MachinesHost, OWNER, openMachines, until } from './machines-host.ts'

const restarted = (host: MachinesHost, id: string, before: number) =>
  until(async () => {
    const { state, pid } = await host.registry.show(OWNER, id).catch(() => ({ state: 'unknown', pid: 0 }))
    return state === 'running' && pid !== before
  }, `the next start of ${id}`)

describe('what goes away under a host of machines', () => {
  it('PostgreSQL: commands say so and no more, guests run on, and all goes on when it is back', async () => {
    const postgres = await startPostgres()
    const host = await openMachines({ database: () => openPostgres(postgres.settings) })
    const say = async (line: string) =>
      (await runLine(host.registry, OWNER, line, { onFault: () => {} })).text
    try {
      await say('AUTH kept 16 1')
      await say('AUTH other 16 1')
      await host.power.start(OWNER, 'kept')
      const { pid } = await host.registry.show(OWNER, 'kept')
      await postgres.down()
      for (const line of [
        'LIST_VMS',
        'AUTH new 16 1',
        'AUTH other 16 1',
        'LOGOUT other',
        'ADD_DISK d other 1',
        'UPDATE_VM other 32 1',
        'REMOVE_VM other --yes',
        'CHECK_ALL_VMS'
      ])
        assert.equal(
          await say(line),
          'ERR DatabaseError the database of the machines does not answer as it should; its host finds why in the log'
        )
      process.kill(pid!, 0)
      // nobody can look up what is wanted of it
      process.kill(pid!, 'SIGKILL')
      await host.power.reconcile().catch(({ name }) => assert.equal(name, 'DatabaseError'))
      await postgres.up()
      await restarted(host, 'kept', pid!)
      assert.equal(await say('AUTH new 16 1'), 'OK new registered')
      assert.match(await say('ADD_DISK d other 1'), /^OK /)
      for (const { id, isSound } of await host.registry.check(OWNER)) assert.ok(isSound, id)
    } finally {
      await postgres.up()
      await host.end()
      await postgres.stop()
    }
  })

  it('QEMU in the middle of a snapshot: it is started again, nothing is left over, and the next one is taken', async () => {
    const host = await openMachines()
    const { database, registry, snapshots, power } = host
    const files = async () => (await readdir(join(host.folder, 'layers'))).sort()
    try {
      await registry.auth(OWNER, 'dies', '16', '1')
      await registry.addDisk(OWNER, 'dd', 'dies', '1')
      await power.start(OWNER, 'dies')
      for (const hasMemory of [false, true]) {
        const { pid, uuid } = await registry.show(OWNER, 'dies')
        const before = (await files()).length
        const handle = power.live(uuid)
        const { ask } = handle
        // it has its new top and does not write into it yet, or writes its memory out
        const last = hasMemory ? 'migrate' : 'transaction'
        handle.ask = async <T>(command: string, args?: object, ms?: number): Promise<T> => {
          if (command !== last) return ask(command, args, ms)
          assert.equal((await files()).length, before + 1)
          const answer = hasMemory ? await ask<T>(command, args, ms) : undefined
          process.kill(pid!, 'SIGKILL')
          return answer ?? ask(command, args, ms)
        }
        await assert.rejects(snapshots.take(OWNER, 'dies', `cut-${hasMemory}`, { hasMemory }), {
          name: 'QemuError'
        })
        handle.ask = ask
        await restarted(host, 'dies', pid!)
        assert.deepEqual(await leftLayers(database), [])
        const rows = await database.query<{ uuid: string }>('SELECT uuid FROM layers')
        assert.deepEqual(await files(), rows.map(({ uuid }) => uuid).sort())
        await snapshots.take(OWNER, 'dies', `whole-${hasMemory}`, { hasMemory })
        assert.equal((await registry.check(OWNER))[0]!.isSound, true)
      }
      await snapshots.restore(OWNER, 'dies', 'whole-true')
      assert.equal((await registry.show(OWNER, 'dies')).state, 'running')
    } finally {
      await host.end()
    }
  })
})
