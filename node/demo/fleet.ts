import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Demo } from './contract.ts'
import { verifyLog } from './devices.ts'
import { openServiceNetwork, type ServiceNode } from './service-network.ts'
import { until } from './stage.ts'
import { createSteps } from './steps.ts'

const WAIT_MS = 90_000
const LONG_MS = 30_000

interface Fleet {
  version: number
  agents: { agent: string; isRight: boolean; state?: { settings: { why?: string }[] } }[]
}
interface Outcome {
  id: string
  is: string
  why?: string
  result?: unknown
}

/** An owner, a second signer and two nodes beside valves: a document, commands, one killed in the middle. */
export const fleet: Demo = {
  summary:
    'a fleet of devices: its signed document, commands that are done once through a kill, two signers, an owner that forgets',
  async run(stage) {
    await using network = await openServiceNetwork(stage.folder, 'devices')
    const { step, played } = createSteps(stage.say)
    const ownerSettings = { fleetOwners: ['self'], allowedPeers: ['*'] }
    let owner = await network.start('owner', ownerSettings)
    const fleetOwners = [owner.id]
    const second = await network.start('second', { fleetOwners })
    const settings = (serial: string) => ({
      fleetOwners,
      witnessPeers: [owner.id],
      drivers: { valve: { serial } }
    })
    let one = await network.start('one', settings('1'))
    let two = await network.start('two', settings('2'))

    const fleetOf = (node: ServiceNode): Promise<Fleet> => node.call('fleet')
    const write = (wishes: object, after: number): Promise<{ version: number }> =>
      owner.call('setFleet', {
        after,
        wishes: { agents: [one.id, two.id], settings: [], grants: [], ...wishes }
      })
    const command = (
      from: ServiceNode,
      to: ServiceNode,
      name: string,
      args: object = {},
      more: object = {}
    ): Promise<Outcome> =>
      from.call('command', {
        device: to === one ? 'valve:1' : 'valve:2',
        agent: to.id,
        name,
        args,
        minutes: 1,
        ...more
      })
    const done = async (node: ServiceNode): Promise<string[]> =>
      (await readFile(join(node.folder, 'services/valve/done'), 'utf8').catch(() => ''))
        .split('\n')
        .filter(Boolean)
    const grants = [owner, second].map(({ id }) => ({ peer: id, devices: 'valve:*', risk: 3 }))
    const tell = ({ is, why, result }: Outcome): string =>
      [is, why, result && JSON.stringify(result)].filter(Boolean).join(', ')

    await step('a document says how two valves should be, and they become so', async () => {
      await write({ grants, settings: [{ devices: 'valve:*', values: { opening: 30 } }] }, 0)
      await until(
        'both to be as wanted',
        async () => {
          const { agents } = await fleetOf(owner)
          return agents.every(({ isRight, state }) => isRight && (state?.settings.length ?? 0) > 0)
        },
        WAIT_MS
      )
      const answers = await Promise.all([command(owner, one, 'read'), command(owner, two, 'read')])
      return {
        right: answers.every(({ result }) => JSON.stringify(result) === '{"opening":30}'),
        detail: answers.map(tell).join('; ')
      }
    })
    await step('what a valve cannot be is shown as drift', async () => {
      await write({ grants, settings: [{ devices: 'valve:2', values: { opening: 130 } }] }, 1)
      let why: string | undefined
      await until(
        'the drift to be shown',
        async () => {
          const { agents } = await fleetOf(owner)
          why = agents.find(({ agent }) => agent === two.id)?.state?.settings[0]?.why
          return why != null
        },
        WAIT_MS
      )
      return { right: true, detail: why! }
    })
    await step('its node is killed in the middle of a command: done once, and it is known', async () => {
      const outcome = command(owner, one, 'flush', { ms: LONG_MS })
      await until('it to begin', async () => (await done(one)).includes('flush'), WAIT_MS)
      await one.kill()
      one = await network.start('one', settings('1'))
      const { is, why } = await outcome
      const times = (await done(one)).filter(each => each === 'flush').length
      return { right: is === 'done' && times === 1, detail: `done ${times} time; ${is}, ${why}` }
    })
    await step('where nobody can look, the outcome is unknown, and it is not repeated', async () => {
      const outcome = command(owner, one, 'pour', { ms: LONG_MS })
      await until('it to begin', async () => (await done(one)).includes('pour'), WAIT_MS)
      await one.kill()
      one = await network.start('one', settings('1'))
      const { is, why } = await outcome
      const times = (await done(one)).filter(each => each === 'pour').length
      return { right: is === 'unknown' && times === 1, detail: `done ${times} time; ${is}, ${why}` }
    })
    await step('what gives something away needs two signers, and a switch at its machine', async () => {
      const propose = (): Promise<Outcome> => command(owner, two, 'empty', {}, { second: second.id })
      const off = await second.call<Outcome>('approve', { id: (await propose()).id })
      const file = join(two.folder, 'services/devices/risk-3')
      await writeFile(file, 'valve:* empty\n', { mode: 0o600 })
      const on = await second.call<Outcome>('approve', { id: (await propose()).id })
      const times = (await done(two)).filter(each => each === 'empty').length
      return {
        right: off.is === 'refused' && on.is === 'done' && times === 1,
        detail: `${tell(off)}; then ${tell(on)}`
      }
    })
    await step(
      'a grant is taken back while its node is away, and counts no more when it is back',
      async () => {
        await two.kill()
        const { version } = await write({}, 2)
        two = await network.start('two', settings('2'))
        await until(
          'the new document to be there',
          async () => (await fleetOf(two)).version === version,
          WAIT_MS
        )
        const outcome = await command(owner, two, 'turn', { opening: 1 })
        return {
          right: outcome.is === 'refused' && !(await done(two)).includes('turn 1'),
          detail: tell(outcome)
        }
      }
    )
    await step('the owner loses its database, and cannot begin anew', async () => {
      await owner.kill()
      for (const end of ['', '-wal', '-shm'])
        await rm(join(owner.folder, `services/devices/devices.sqlite${end}`), { force: true })
      owner = await network.start('owner', ownerSettings)
      const refused = await write({ grants }, 0).catch((error: Error) => error)
      await until('it to be given back', async () => (await fleetOf(owner)).version === 3, WAIT_MS)
      const { version } = await write({ grants }, 3)
      return {
        right: refused instanceof Error && refused.name === 'ConflictError' && version === 4,
        detail: `${(refused as Error).message?.split(';')[0]}; now ${version}`
      }
    })
    await step('every step is in the log, which verifies without a node', async () => {
      const file = join(stage.folder, 'one.log')
      await until(
        'the witness to have it',
        async () => {
          const { own } = await one.call<{ own: { last: number } }>('status')
          const { chains } = await owner.call<{ chains: { agent: string; last: number }[] }>('status')
          return chains.some(({ agent, last }) => agent === one.id && last >= own.last)
        },
        WAIT_MS
      )
      await owner.call('export', { path: file, agent: one.id })
      const { isRight, last, faults } = await verifyLog(file)
      const { items } = await owner.call<{ items: { kind: string; agent: string; body: { is: string } }[] }>(
        'events',
        { device: 'valve:1', limit: 1000 }
      )
      const said = items.filter(({ kind }) => kind === 'fleet-command').map(({ body }) => body.is)
      const has = ['received', 'started', 'done', 'unknown'].every(each => said.includes(each))
      return {
        right: isRight && has,
        detail: isRight ? `${said.length} steps in ${last + 1} entries` : faults.join('; ')
      }
    })
    const ended = await network.end()
    return played(ended, { nodesEnded: ended })
  }
}
