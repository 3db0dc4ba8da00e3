import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { encode } from '@ipld/dag-cbor'
import { isSignedBy } from '../../../ledger/index.ts'
import { createAgent } from '../../../services/devices/delivery/agent.ts'
import { openChains } from '../../../services/devices/delivery/chains.ts'
import { RECEIPT_DOMAIN, receiptBytes } from '../../../services/devices/delivery/receipt.ts'
import { createWitness } from '../../../services/devices/delivery/witness.ts'
import { openChainLog } from '../../../services/devices/log/chain-log.ts'
import {
  type Body,
  decodeEntry,
  encodeEntry,
  GENESIS,
  type Head
} from '../../../services/devices/log/entry.ts'
import { exportChain, verifyExport } from '../../../services/devices/log/export.ts'
import { frameRecord } from '../../../services/devices/log/records.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'
import { createSeries } from '../../../services/devices/series/series.ts'
import { toJson } from '../../../services/devices/series/to-json.ts'
import { signerFrom } from '../../ledger/helpers.ts'
import { MachineDisk } from '../../simulation/devices-disk.ts'
import { createRandom } from '../../simulation/random.ts'
import { batchOf, chain, key, recorderOn } from './logs.ts'

const { signal } = new AbortController()
const silent = Object.assign(() => {}, { error: () => {} })
const witnessKey = signerFrom('a witness')

const reopened = (disk: MachineDisk, found: string[] = []) =>
  openChainLog({
    disk: disk.open('log'),
    chain,
    isSigned: isSignedBy,
    segmentBytes: 2_000,
    onFound: what => found.push(what)
  })

/** Flips a bit in the middle of the newest segment. */
function rotNewest(disk: MachineDisk, folder = 'log'): void {
  const files = disk.folders.get(folder)!
  const name = [...files.keys()]
    .filter(each => each.endsWith('.seg'))
    .sort()
    .at(-1)!
  files.get(name)![Math.floor(files.get(name)!.length / 2)]! ^= 1
}

async function seqsOf(log: Awaited<ReturnType<typeof reopened>>): Promise<number[]> {
  const seqs: number[] = []
  for (let seq = 0; seq <= log.head.seq; seq++) if ((await log.hashAt(seq)) != null) seqs.push(seq)
  return seqs
}
const upTo = (last: number): number[] => Array.from({ length: last + 1 }, (_, seq) => seq)

describe('devices: a log with gaps and damage', () => {
  it('keeps what came behind entries that its agent had let go, also over a start, and reads it', async () => {
    const disk = new MachineDisk(createRandom(1))
    const { log } = await recorderOn(disk)
    const one = batchOf(0, GENESIS.hash, 3)
    await log.append(one.batch, one.head)
    const two = batchOf(10, one.head.hash, 2)
    await log.append(two.batch, two.head)
    const again = await reopened(disk)
    deepEqual(again.head, two.head)
    deepEqual(again.holes, [])
    deepEqual(await seqsOf(again), [0, 1, 2, 10, 11])

    const db = new DatabaseSync(':memory:')
    for (const sql of MIGRATIONS) db.exec(sql)
    const series = createSeries(db, () => 2_000_000_000_000)
    await series.catchUp({ all: () => [again], find: () => again, of: () => [again] }, signal)
    deepEqual({ ...db.prepare('SELECT seq FROM seen').get() }, { seq: 11 })
  })

  it('loses of the newest segment only what is damaged, and says so, at the start and while it runs', async () => {
    for (const isRunning of [false, true]) {
      const disk = new MachineDisk(createRandom(2))
      const found: string[] = []
      const { record } = await recorderOn(disk, 1 << 20)
      for (let i = 0; i < 9; i++) await record(4)
      const image = disk.image()
      let log = await reopened(disk, found)
      rotNewest(disk)
      if (isRunning) equal(await log.scrub(), 1)
      else log = await reopened(disk, found)
      equal(found.length, 1)
      equal(log.head.seq, 35)
      const [hole, ...others] = log.holes
      deepEqual(others, [])
      equal(hole!.to - hole!.from, 3, 'one batch')
      deepEqual(
        await seqsOf(log),
        upTo(35).filter(seq => seq < hole!.from || seq > hole!.to)
      )
      const whole = new MachineDisk(createRandom(3))
      whole.setBack(image)
      await log.repair((await (await reopened(whole)).read(hole!.from))!)
      const next = batchOf(36, log.head.hash, 1)
      await log.append(next.batch, next.head)
      deepEqual(await seqsOf(await reopened(disk)), upTo(36))
      equal(await log.scrub(), 0)
    }
  })

  it('is whole in the end when a crash comes while it is put right', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const disk = new MachineDisk(createRandom(seed))
      const { record } = await recorderOn(disk)
      for (let i = 0; i < 20; i++) await record(4)
      const other = new MachineDisk(createRandom(1))
      other.setBack(disk.image())
      const whole = await reopened(other)
      const log = await reopened(disk)
      disk.rot()
      await log.scrub()
      disk.crashesInWrite = true
      const [hole] = log.holes
      await rejects(log.repair((await whole.read(hole!.from))!), { name: 'CrashError' })
      const again = await reopened(disk)
      for (let i = 0; i < 20 && again.holes.length > 0; i++)
        await again.repair((await whole.read(again.holes[0]!.from))!)
      equal(await again.scrub(), 0)
      deepEqual(await seqsOf(again), upTo(79))
    }
  })
})

const asText = (body: Body) => JSON.parse(toJson(body)) as Record<string, unknown>

describe('devices: an agent', () => {
  type Ask = (kind: string, request: any, signal?: AbortSignal) => Promise<any>
  async function agentOn(disk: MachineDisk, ask: Ask, alerts: string[] = []) {
    const chains = await openChains({
      self: key.account,
      isSigned: isSignedBy,
      disk: ({ number }) => disk.open(number === 0 ? 'log' : `log ${number}`),
      there: disk.folders.has('log') ? [chain] : [],
      onFound: () => {}
    })
    const agent = await createAgent({
      self: key.account,
      fleet: 'test',
      chains,
      peers: {
        async *find() {},
        ask: (_peer, kind, request, options) => ask(kind, request, options?.signal)
      },
      witnesses: () => [witnessKey.account],
      receipts: { of: () => [], save: () => {} },
      sign: key.sign,
      isSigned: isSignedBy,
      moment: () => ({ boot: 'b', monoMs: 0, timeMs: 0, clock: 'unset' }),
      onWritten: () => {},
      alert: (what, why) => void alerts.push(`${what}: ${why}`),
      log: silent
    })
    return { agent, chains }
  }
  const draft = { class: 'account' as const, device: 'd', kind: 'k', body: {} }

  it('waits for its entries as long as they come, and tells no driver when they do not', async () => {
    const { batch, head } = batchOf(0, GENESIS.hash, 3)
    const reading = Promise.withResolvers<never>()
    let asks = 0
    const { agent } = await agentOn(new MachineDisk(createRandom(1)), async (kind, _request, until) => {
      if (kind === 'chains') {
        if (asks++ === 0) throw new Error('not there yet')
        return { chains: [{ ...chain, first: 0, ...head }] }
      }
      equal(until, signal, 'the time for a first word is not that for a whole log')
      return reading.promise
    })
    await agent.start(signal)
    const delivering = rejects(agent.deliver(witnessKey.account, signal), /gone/)
    const recording = agent.record(draft)
    reading.reject(new Error('gone'))
    await delivering
    deepEqual(await recording, { number: 0, seq: 0 })
    equal(batch.entries.length, 3)
  })

  it('whose disk was set back and written on names both heads, drops nothing, and says so', async () => {
    const disk = new MachineDisk(createRandom(1))
    await (await recorderOn(disk)).record(4)
    // what was written after the image of the day before, and is with a witness
    const before = new MachineDisk(createRandom(1))
    before.setBack(disk.image())
    const { log: theirs, record } = await recorderOn(before)
    await record(2)
    let isAway = true
    const sent: Uint8Array[] = []
    const alerts: string[] = []
    const { agent } = await agentOn(
      disk,
      async (kind, request) => {
        if (isAway) throw new Error('not there yet')
        if (kind === 'chains') return { chains: [{ ...chain, first: 0, ...theirs.head }] }
        if (kind === 'read') return { batch: await theirs.read(request.from) }
        equal(request.number, 1)
        sent.push(...request.entries)
        return { is: 'behind', seq: request.from + request.entries.length - 1, hash: GENESIS.hash }
      },
      alerts
    )
    await agent.start(signal)
    deepEqual(await agent.record({ ...draft, body: { n: 1 } }), { number: 0, seq: 4 })
    const own = agent.log.head
    isAway = false
    while ((await agent.deliver(witnessKey.account, signal)) !== 'idle');
    match(alerts.join(), /fork: chain 0 was continued twice: .* has entry 5 .* behind entry 3/)
    const [first, second, ...more] = sent.map(decodeEntry)
    const plain = ({ seq, hash }: Head) => ({ seq, hash: new Uint8Array(hash) })
    equal(first!.kind, 'chain')
    deepEqual(asText(first!.body), {
      ...{ previous: 0, common: 3, until: 4 },
      ...asText({ own: plain(own), other: { witness: witnessKey.account, ...plain(theirs.head) } })
    })
    deepEqual([second!.kind, decodeEntry(second!.body.entry as Uint8Array).body], ['moved', { n: 1 }])
    deepEqual(more, [])
    deepEqual(await agent.record(draft), { number: 1, seq: 2 })
  })

  it('names what was damaged before anybody had it, and delivers what comes behind', async () => {
    const disk = new MachineDisk(createRandom(2))
    const { record } = await recorderOn(disk, 1 << 20)
    for (let i = 0; i < 9; i++) await record(4)
    rotNewest(disk)
    const alerts: string[] = []
    const sent: { from: number; first: number; entries: Uint8Array[] }[] = []
    const { agent, chains } = await agentOn(
      disk,
      async (kind, request) => {
        if (kind === 'append') {
          sent.push(request)
          return { is: 'behind', seq: request.from + request.entries.length - 1, hash: GENESIS.hash }
        }
        return kind === 'chains' ? { chains: [] } : {}
      },
      alerts
    )
    const [hole] = chains.own()!.holes
    ok(hole != null)
    await agent.start(signal)
    await agent.deliver(witnessKey.account, signal)
    await rejects(agent.deliver(witnessKey.account, signal), { message: /is damaged here/ })
    await agent.repair(signal)
    match(alerts.join(), new RegExp(`entries ${hole.from} to ${hole.to} of chain 0`))
    while ((await agent.deliver(witnessKey.account, signal)) !== 'idle');
    deepEqual(
      sent.flatMap(({ from, entries }) => entries.map((_, i) => from + i)),
      upTo(36).filter(seq => seq < hole.from || seq > hole.to)
    )
    equal(sent.find(({ from }) => from === hole.to + 1)!.first, hole.to + 1)
    const { kind, body } = decodeEntry(sent.at(-1)!.entries.at(-1)!)
    deepEqual([kind, body], ['lost', { number: 0, from: hole.from, to: hole.to }])
  })
})

describe('devices: a witness', () => {
  it('opens a chain only for what its agent has signed, and so many for each', async () => {
    const disk = new MachineDisk(createRandom(1))
    const chains = await openChains({
      self: witnessKey.account,
      isSigned: isSignedBy,
      disk: ({ agent, number }) => disk.open(`${agent}/${number}`),
      there: [],
      onFound: () => {}
    })
    const witness = createWitness({
      chains,
      sign: witnessKey.sign,
      isSigned: isSignedBy,
      now: () => 0,
      keeps: () => true,
      hasRoom: () => true,
      onWritten: () => {},
      onFork: () => {},
      log: silent
    })
    const of = (number: number) => ({ ...batchOf(0, GENESIS.hash, 1, number).batch, number, first: 0 })
    const forged = { ...of(0), signature: new Uint8Array(64) }
    await rejects(witness.append(key.account, forged), { name: 'EntryError' })
    equal(chains.all().length, 0)
    for (let number = 0; number < 64; number++)
      equal((await witness.append(key.account, of(number))).is, 'receipt')
    equal((await witness.append(key.account, of(64))).is, 'full')
    equal((await witness.append(key.account, of(0))).is, 'receipt')
    equal(chains.all().length, 64)
  })
})

describe('devices: an export', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-export-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('is right though the oldest is let go, and wrong where the end is cut off', async () => {
    const { log, record } = await recorderOn(new MachineDisk(createRandom(4)))
    for (let i = 0; i < 10; i++) await record(4)
    const receiptOf = async (seq: number) => {
      const head = { seq, hash: (await log.hashAt(seq))! }
      const signature = witnessKey.sign(RECEIPT_DOMAIN, receiptBytes(chain, head, 7))
      return { witness: witnessKey.account, ...head, timeMs: 7, signature }
    }
    const receipts = [await receiptOf(1), await receiptOf(38)]
    while ((await log.dropOldest()) > 0);
    ok(log.first > 1)
    const path = join(folder, 'log')
    await exportChain(log, receipts, path, signal)
    const verdict = await verifyExport(path, isSignedBy)
    deepEqual([verdict.faults, verdict.isRight], [[], true])
    deepEqual(verdict.witnesses, [{ peer: witnessKey.account, seq: 38, timeMs: 7, isHashOnly: false }])

    const cut = await recorderOn(new MachineDisk(createRandom(4)))
    await cut.record(4)
    await exportChain(cut.log, receipts, join(folder, 'cut'), signal)
    const { isRight, faults } = await verifyExport(join(folder, 'cut'), isSignedBy)
    equal(isRight, false)
    match(faults.join(), /cut off/)
  })

  it('tells what was altered: by the entry behind it, or by the signature where it is the last of its batch', async () => {
    const heads = [GENESIS]
    const batches = [3, 2, 1].map(count => {
      const { seq, hash } = heads.at(-1)!
      const { batch, head } = batchOf(seq + 1, hash, count)
      heads.push(head)
      return batch
    })
    const lasts = heads.map(({ seq }) => seq)
    for (let seq = 0; seq <= lasts.at(-1)!; seq++) {
      // a segment for each, else they are exported as one
      const { log } = await recorderOn(new MachineDisk(createRandom(4)), 1)
      for (const [i, { entries, ...batch }] of batches.entries()) {
        const forged = entries.map(each => {
          const entry = decodeEntry(each)
          return entry.seq === seq ? encodeEntry({ ...entry, body: { v: -1 } }) : each
        })
        await log.append({ ...batch, entries: forged }, heads[i + 1]!)
      }
      const path = join(folder, `${seq}`)
      await exportChain(log, [], path, signal)
      const { isRight, faults } = await verifyExport(path, isSignedBy)
      equal(isRight, false)
      deepEqual(faults, [
        lasts.includes(seq)
          ? `up to entry ${seq} is not what ${chain.agent} signed`
          : `entry ${seq} was altered: entry ${seq + 1} names another hash for it`
      ])
    }
  })

  it('leaves others their turn in a file of anything, and no file open', async () => {
    const path = join(folder, 'anything')
    await writeFile(path, Buffer.alloc(2 << 20, 0xff))
    let turns = 0
    let isOver = false
    const count = (): void => {
      turns++
      if (!isOver) setImmediate(count)
    }
    count()
    await rejects(verifyExport(path, isSignedBy), { name: 'EntryError' })
    isOver = true
    ok(turns > 100, `${turns} turns`)
    await writeFile(path, frameRecord(encode(['another format', 1])))
    await rejects(verifyExport(path, isSignedBy), { name: 'EntryError' })
    await exportChain((await recorderOn(new MachineDisk(createRandom(4)))).log, [], join(folder, 'b'), signal)
    const fds = await readdir('/proc/self/fd')
    const open = await Promise.all(fds.map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
    deepEqual(
      open.filter(each => each.startsWith(folder)),
      []
    )
  })
})
