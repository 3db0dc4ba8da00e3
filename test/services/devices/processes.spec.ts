import { deepEqual, equal, ok } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  openServiceNetwork,
  type ServiceNetwork,
  type ServiceNode
} from '../../../node/demo/service-network.ts'
import { decodeBatch, encodeBatch } from '../../../services/devices/log/batch.ts'
import { decodeEntry, encodeEntry } from '../../../services/devices/log/entry.ts'
import { frameRecord, HEADER_BYTES, recordAt } from '../../../services/devices/log/records.ts'
import { until } from '../../bootstrap/nodes.ts'

const CLI = 'node/cli/artel.js'
const DAY_MS = 86_400_000
const WITNESS = { allowedPeers: ['*'] }

interface Status {
  own: { number: number; last: number; delivered: number }
  witnesses: { peer: string; seq: number; error?: string }[]
  chains: { agent: string; number: number; first: number; last: number; missing: number }[]
}
interface Verdict {
  isRight: boolean
  first: number
  last: number
  entries: { account: number; event: number; sample: number }
  witnesses: { peer: string; seq: number }[]
  faults: string[]
}

const statusOf = (node: ServiceNode): Promise<Status> => node.call('status')

describe('devices: real processes', function () {
  this.timeout(600_000)
  let folder: string
  let network: ServiceNetwork
  let settings: object
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-devices-'))
    network = await openServiceNetwork(folder, 'devices')
    const first = await network.start('first', WITNESS)
    const second = await network.start('second', WITNESS)
    settings = {
      witnessPeers: [first.id, second.id],
      drivers: { 'host-metrics': { everySeconds: 0.1 } }
    }
    await network.start('agent', settings)
  })
  after(async () => {
    await network?.[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  const nodeOf = (name: string): ServiceNode => network.nodes.get(name)!

  /** Without a node: exit code and what it says. */
  async function verify(file: string): Promise<{ code: number; verdict: Verdict }> {
    const args = [CLI, 'devices', 'verify', file, '--json']
    try {
      const { stdout } = await promisify(execFile)(process.execPath, args)
      return { code: 0, verdict: JSON.parse(stdout) }
    } catch (error) {
      const { code, stdout } = error as { code: number; stdout: string }
      return { code, verdict: JSON.parse(stdout) }
    }
  }

  const deliveredBeyond = (agent: ServiceNode, seq: number, what: string): Promise<void> =>
    until(async () => (await statusOf(agent)).own.delivered > seq, what)

  it('tell everybody the newest readings, and their history by minutes', async () => {
    const [first, agent] = [nodeOf('first'), nodeOf('agent')]
    await deliveredBeyond(agent, 10, 'some entries are delivered')
    interface Item {
      id: string
      agent: string
      readings: Record<string, number>
      about: { readings: Record<string, { unit?: string }> }
    }
    let item: Item | undefined
    await until(async () => {
      const { items } = await first.call<{ items: Item[] }>('list')
      item = items.find(each => each.agent === agent.id)
      return item?.readings.memory != null
    }, 'the witness knows the device')
    equal(item!.id, `host:${agent.id}`)
    equal(item!.about.readings.memory!.unit, '%')
    ok(item!.readings.memory! > 0 && item!.readings.memory! <= 100)
    const now = Date.now()
    const range = { from: now - 3_600_000, to: now + 3_600_000 }
    const { points } = await first.call<{ points: { n: number; min: number; max: number; mean: number }[] }>(
      'history',
      { device: item!.id, reading: 'memory', step: 'minute', ...range }
    )
    ok(points.length >= 1)
    for (const { n, min, max, mean } of points) ok(n > 0 && min <= mean && mean <= max)
  })

  it('notice an alteration on a witness, and put it right', async () => {
    const [second, agent] = [nodeOf('second'), nodeOf('agent')]
    await deliveredBeyond(agent, 40, 'some entries are delivered')
    equal(await second.stop(), 0)
    const logs = join(second.folder, 'services/devices/logs', agent.id, '0')
    const [segment] = (await readdir(logs)).filter(name => name.endsWith('.seg'))
    const path = join(logs, segment!)
    const bytes = await readFile(path)
    bytes[Math.floor(bytes.length / 2)]! ^= 1
    await writeFile(path, bytes)
    const back = await network.start('second', WITNESS)
    await until(
      async () => (await readdir(logs)).some(name => name.endsWith('.damaged')),
      'what was altered is kept aside'
    )
    const { own } = await statusOf(agent)
    await until(async () => {
      const { chains } = await statusOf(back)
      return chains.some(each => each.agent === agent.id && each.last >= own.last && each.missing === 0)
    }, 'it has everything again')
    const exported = join(folder, 'mended.log')
    await back.call('export', { path: exported, agent: agent.id })
    const { verdict } = await verify(exported)
    deepEqual(verdict.faults, [])
    equal(verdict.first, 0)
  })

  it('lose nothing when a witness and the agent are killed, and anybody can verify what there is', async () => {
    const [first, second, agent] = [nodeOf('first'), nodeOf('second'), nodeOf('agent')]
    await deliveredBeyond(agent, 20, 'two witnesses have the first entries')

    // not the first one, by whom others find the network
    await second.kill()
    const { own: before } = await statusOf(agent)
    await until(
      async () =>
        (await statusOf(agent)).witnesses.find(({ peer }) => peer === first.id)!.seq > before.last + 20,
      'the other witness gets more'
    )
    const alone = await statusOf(agent)
    ok(alone.own.delivered < alone.own.last, 'one receipt is not two')
    await network.start('second', WITNESS)
    await deliveredBeyond(agent, alone.own.last, 'the one that was away has caught up')

    await agent.kill()
    // what it says from now on ends, so that all can be counted
    const seldom = { ...settings, drivers: { 'host-metrics': { everySeconds: 3_600 } } }
    const again = await network.start('agent', seldom)
    const { own } = await statusOf(again)
    equal(own.number, 0, 'the chain goes on')
    ok(own.last >= alone.own.last, 'what was acknowledged is there')
    const nodes = [again, first, nodeOf('second')]
    const device = `host:${again.id}`
    const range = { from: Date.now() - DAY_MS, to: Date.now() + DAY_MS }
    const known = async (node: ServiceNode) => {
      const { items } = await node.call<{ items: { kind: string; at: number }[] }>('events', { device })
      const started = items.filter(({ kind }) => kind === 'started')
      const { points } = await node.call<{ points: { n: number }[] }>('history', {
        ...{ device, reading: 'memory', step: 'hour', ...range }
      })
      return {
        startedAt: started[0]!.at,
        counts: { event: started.length, sample: points.reduce((sum, { n }) => sum + n, 0) }
      }
    }
    await until(async () => {
      const { startedAt, counts } = await known(again)
      const { items } = await again.call<{ items: { readAt: number }[] }>('list')
      const { last, delivered } = (await statusOf(again)).own
      // the one sample behind its start is there, too
      return counts.event === 2 && items[0]!.readAt >= startedAt && delivered === last
    }, 'it goes on')

    // every node has the same, from the first entry on
    const files: string[] = []
    for (const node of nodes) {
      const path = join(folder, `${node.name}.log`)
      await node.call('export', { path, agent: again.id })
      files.push(path)
    }
    const verdicts = await Promise.all(files.map(verify))
    for (const [i, { code, verdict }] of verdicts.entries()) {
      deepEqual(verdict.faults, [])
      equal(code, 0)
      equal(verdict.first, 0)
      const { account, event, sample } = verdict.entries
      equal(account + event + sample, verdict.last + 1)
      equal(event, 2, 'it was started twice')
      ok(verdict.last >= own.last)
      // the index in SQLite has each once, whatever it was in the middle of
      deepEqual((await known(nodes[i]!)).counts, { event, sample })
    }
    deepEqual(verdicts[0]!.verdict.witnesses.map(({ peer }) => peer).sort(), [first.id, second.id].sort())

    // somebody alters a reading and mends the checksum
    const bytes = await readFile(files[0]!)
    const { altered, fault } = alter(bytes, again.id)
    const forged = join(folder, 'forged.log')
    await writeFile(forged, altered)
    const { code, verdict } = await verify(forged)
    equal(code, 1)
    equal(verdict.isRight, false)
    equal(verdict.faults[0], fault)

    ok(await network.end())
  })
})

/**
 * The first measured value is another one, with a checksum that fits. The entry behind it tells; where it is the last of
 * its batch (how many one flush writes is the machine’s matter) the signature does.
 */
function alter(bytes: Buffer, agent: string): { altered: Buffer; fault: string } {
  const record = (at: number) => {
    const payload = recordAt(bytes, at)!
    return { payload, end: at + HEADER_BYTES + payload.length }
  }
  // what chain it is, then the batches
  for (let at = record(0).end; ; at = record(at).end) {
    const { payload, end } = record(at)
    const { entries, ...batch } = decodeBatch(payload)
    const index = entries.findIndex(each => decodeEntry(each).class === 'sample')
    if (index < 0) continue
    const { body, ...entry } = decodeEntry(entries[index]!)
    const other = encodeEntry({ ...entry, body: { ...body, memory: (body.memory as number) + 1 } })
    const forged = frameRecord(encodeBatch({ ...batch, entries: entries.with(index, other) }))
    const seq = entry.seq
    return {
      altered: Buffer.concat([bytes.subarray(0, at), forged, bytes.subarray(end)]),
      fault:
        index < entries.length - 1
          ? `entry ${seq} was altered: entry ${seq + 1} names another hash for it`
          : `up to entry ${seq} is not what ${agent} signed`
    }
  }
}
