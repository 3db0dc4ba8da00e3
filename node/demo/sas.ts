import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Demo } from './contract.ts'
import { verifyLog } from './devices.ts'
import { DEAF_MS, differences, type Entry, grownOf, missingOf } from './sas-books.ts'
import { startMachines } from './sas-machines.ts'
import { openServiceNetwork } from './service-network.ts'
import { until } from './stage.ts'
import { createSteps } from './steps.ts'
import { startPostgres } from './vm-postgres.ts'

/** also where operators sign */
const WITNESS = { allowedPeers: ['*'] }
const SERIALS = ['A-100', 'B-200', 'C-300']
const WAIT_MS = 240_000
/** as the simulated machines have it */
const FIRST_ASSET = 100
const KEY = '00112233445566778899aabbccddeeff00112233'
const AMOUNT = '12.50'

interface Item {
  id: string
  readings: Record<string, unknown>
}
interface Reconciliation {
  isRight: boolean
  items: { agent: string; last: number; rows: number }[]
}

/** Simulated gaming machines on pseudo terminals, and everything that can go wrong on the way into a database. */
export const sas: Demo = {
  summary:
    'three simulated gaming machines play with faults on the line; agent and mirror are killed, one machine rolls over, one is swapped; the database agrees with the machines',
  flags: { games: '2000' },
  async run(stage, { games: wanted }) {
    const games = Math.ceil(Number(wanted) / SERIALS.length)
    const { step, played } = createSteps(stage.say)

    await using ended = new AsyncDisposableStack()
    const postgres = await startPostgres()
    ended.defer(() => postgres.stop())
    const { host, user, database } = postgres.settings
    const mirrorFile = join(stage.folder, 'database')
    const address = `postgres://${user}@/${database}?host=${encodeURIComponent(host)}\n`
    await writeFile(mirrorFile, address, { mode: 0o600 })
    const machines = ended.use(await startMachines(stage.folder, SERIALS))
    const network = ended.use(await openServiceNetwork(join(stage.folder, 'nodes'), 'devices'))
    const first = await network.start('first witness', { ...WITNESS, fleetOwners: ['self'] })
    const fleetOwners = [first.id]
    // it has no machines, and their tables
    const mirroring = { ...WITNESS, mirrorFile, fleetOwners, drivers: { sas: {} } }
    let mirror = await network.start('mirror', mirroring)
    const moneyFile = join(stage.folder, 'money.json')
    await writeFile(
      moneyFile,
      JSON.stringify({
        money: 'on',
        perCommand: '20.00',
        perDay: '20.00',
        machines: Object.fromEntries(SERIALS.map((each, i) => [each, { asset: FIRST_ASSET + i, key: KEY }]))
      }),
      { mode: 0o600 }
    )
    const settings = {
      witnessPeers: [first.id, mirror.id],
      fleetOwners,
      // a busy computer is slower than a line
      drivers: {
        sas: { machines: await machines.paths(), pollMs: 1, answerMs: 1_000, meterSeconds: 1, moneyFile }
      }
    }
    let agent = await network.start('agent', settings)
    const itemsAt = async (node: { call<T>(what: string): Promise<T> }): Promise<Item[]> =>
      (await node.call<{ items: Item[] }>('list')).items
    const isUp = async (place: number): Promise<boolean> =>
      (await itemsAt(agent)).some(
        ({ id, readings }) => id.endsWith(`tty${place}:1`) && readings.isUp === true
      )
    const areQuiet = (): Promise<void> =>
      until(
        'everything to be heard',
        async () => (await machines.state()).every(each => each.waiting === 0),
        WAIT_MS
      )
    const places = SERIALS.map((_, place) => place)
    const playing = (count: number): Promise<unknown> =>
      Promise.all(places.map(place => machines.play(place, count)))

    await step('an operator sees the machines', async () => {
      await until('all to be up', async () => (await Promise.all(places.map(isUp))).every(Boolean), WAIT_MS)
      const known = async (): Promise<string[]> =>
        (await itemsAt(first)).map(({ id }) => id).filter(id => id.startsWith('sas:'))
      await until('the witness to know them', async () => (await known()).length === SERIALS.length, WAIT_MS)
      return { right: true, detail: (await known()).join(', ') }
    })
    let awayMs = 0
    await step('they play with faults on the line, and the agent is killed', async () => {
      await machines.spoil(0.02)
      const all = playing(Math.floor(games / 2))
      await until(
        'some games',
        async () => (await machines.state()).every(({ happened }) => happened.length > games / 4),
        WAIT_MS
      )
      const killed = performance.now()
      await agent.kill()
      agent = await network.start('agent', settings)
      awayMs = performance.now() - killed
      await all
      return {
        right: true,
        detail: `${Math.floor(games / 2) * places.length} games; away for ${(awayMs / 1000).toFixed(1)} s`
      }
    })
    await step('the mirror is away, and comes back', async () => {
      await mirror.kill()
      await playing(games - Math.floor(games / 2))
      await machines.spoil(0)
      await areQuiet()
      mirror = await network.start('mirror', mirroring)
      return { right: true, detail: `${(games - Math.floor(games / 2)) * places.length} games meanwhile` }
    })
    await step(
      'two operators order a transfer, and the agent is killed while the machine does it',
      async () => {
        const command = (more: object): Promise<{ id: string; is: string }> =>
          first.call('command', {
            ...{ device: `sas:${SERIALS[0]}`, name: 'transfer', args: { amount: AMOUNT }, minutes: 1 },
            agent: agent.id,
            ...more
          })
        const grants = [first, mirror].map(({ id }) => ({
          ...{ peer: id, devices: 'sas:*', commands: ['transfer'], risk: 3 }
        }))
        await writeFile(join(agent.folder, 'services/devices/risk-3'), 'sas:* transfer\n', { mode: 0o600 })
        await first.call('setFleet', { after: 0, wishes: { agents: [agent.id], settings: [], grants } })
        await until(
          'the second signer to have the document',
          async () => (await mirror.call<{ version: number }>('fleet')).version === 1,
          WAIT_MS
        )
        // who has signed it cannot be the second one
        const alone = await command({ second: first.id }).then(
          () => 'taken',
          (error: Error) => error.name
        )
        const { id } = await command({ second: mirror.id })
        // asked again and again until it is known how it ended
        const outcome = mirror.call<{ is: string }>('approve', { id })
        await until(
          'it to be under way',
          async () =>
            (
              await agent.call<{ items: { id: string }[] }>('beside', {
                ...{ service: 'sas', operation: 'payments', input: {} }
              })
            ).items.some(each => each.id === id),
          WAIT_MS
        )
        const killed = performance.now()
        await agent.kill()
        agent = await network.start('agent', settings)
        awayMs = Math.max(awayMs, performance.now() - killed)
        const { is } = await outcome
        const paid = (await machines.state())[0]!.paid
        return {
          right: alone === 'ConflictError' && is === 'done' && paid === 1,
          detail: `${AMOUNT} to ${SERIALS[0]}, ${is}, paid ${paid} time${paid === 1 ? '' : 's'}; one signature alone: ${alone}`
        }
      }
    )
    await step('another machine stands where one stood', async () => {
      // its meters are looked at once more
      await until('its last meters', async () => metersAgree(), WAIT_MS)
      await machines.mute(2, true)
      await until('it to be missed', async () => !(await isUp(2)), WAIT_MS)
      await machines.swap(2, 'D-400')
      await machines.mute(2, false)
      await until('the other one', () => isUp(2), WAIT_MS)
      await machines.play(2, 20)
      await areQuiet()
      await until('the last meters', metersAgree, WAIT_MS)
      return { right: true, detail: 'C-300, then D-400' }
    })
    async function metersAgree(): Promise<boolean> {
      const items = await itemsAt(agent)
      return (await machines.state()).every(({ serial, coinIn, coinOut }) => {
        const { readings } = items.find(({ id }) => id === `sas:${serial}`) ?? {}
        return readings?.coinIn === coinIn && readings.coinOut === coinOut
      })
    }

    const { own } = await agent.call<{ own: { last: number } }>('status')
    await step('the database has every entry of the log', async () => {
      const report = (): Promise<Reconciliation> => mirror.call('reconcile')
      const chainIn = ({ items }: Reconciliation) => items.find(each => each.agent === agent.id)
      let found = await report()
      await until(
        'the mirror to catch up',
        async () => {
          found = await report()
          return found.isRight && (chainIn(found)?.last ?? -1) >= own.last
        },
        WAIT_MS
      )
      const { rows: count, last } = chainIn(found)!
      return { right: found.isRight && count === last + 1, detail: `${count} rows, none missing, none wrong` }
    })
    await step('the database agrees with the machines', async () => {
      const entries = JSON.parse(
        await postgres.query(
          `SELECT json_agg(json_build_object('device', device, 'kind', kind, 'body', body - 'what') ORDER BY number, seq)
           FROM artel_device_entry WHERE agent = '${agent.id}' AND class = 'account'`
        )
      ) as Entry[]
      const sums = JSON.parse(
        await postgres.query(
          `SELECT json_object_agg(mac, total) FROM (SELECT mac, sum(value) AS total FROM gaming_transactions
           WHERE property_code = '00' GROUP BY mac) AS machines`
        )
      ) as Record<string, number>
      const state = await machines.state()
      const areTables = state.every(({ serial }) => sums[serial] === grownOf(serial, 'coinIn', entries))
      // it is polled a little before, and a little later, than it is there
      const mayMiss = awayMs > DEAF_MS - 2_000 ? 2 : 0
      const wrong = state.flatMap(machine => differences(machine, entries, mayMiss))
      const missing = state.reduce((sum, machine) => sum + missingOf(machine, entries), 0)
      const rolled = entries.some(({ body }) => body.fell?.coinIn === 'rollover')
      const paid = state.reduce((sum, each) => sum + each.paid, 0)
      const exceptions = state.reduce((sum, { happened }) => sum + happened.length, 0)
      return {
        right: wrong.length === 0 && areTables && rolled && paid === 1,
        detail:
          wrong.length > 0
            ? wrong.join('; ')
            : `${exceptions - missing} of ${exceptions} exceptions, once each${missing > 0 ? ' (the agent was away too long for the rest)' : ''}, meters to the credit, gaming_transactions ${areTables ? 'too' : 'NOT'}, one ${rolled ? 'rolled over' : 'NOT rolled over'}, what was ordered is paid once`
      }
    })
    await step('the log verifies without a node', async () => {
      const file = join(stage.folder, 'agent.log')
      await agent.call('export', { path: file })
      const { isRight, last, witnesses, faults } = await verifyLog(file)
      return {
        right: isRight && witnesses.length === 2,
        detail: isRight ? `entries 0 to ${last}, signed by ${witnesses.length} witnesses` : faults.join('; ')
      }
    })
    const nodesEnded = await network.end()
    return played(nodesEnded, { nodesEnded })
  }
}
