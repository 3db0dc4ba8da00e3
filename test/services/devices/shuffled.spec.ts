import { deepEqual, equal, ok } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { isSignedBy } from '../../../ledger/index.ts'
import { openChains } from '../../../services/devices/delivery/chains.ts'
import { createWitness } from '../../../services/devices/delivery/witness.ts'
import { type Batch, lastSeq, verifyBatch } from '../../../services/devices/log/batch.ts'
import { openChainLog } from '../../../services/devices/log/chain-log.ts'
import { GENESIS } from '../../../services/devices/log/entry.ts'
import { HOUR_MS } from '../../../services/devices/series/rollups.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'
import { createSeries } from '../../../services/devices/series/series.ts'
import { signerFrom } from '../../ledger/helpers.ts'
import { MachineDisk } from '../../simulation/devices-disk.ts'
import { createRandom } from '../../simulation/random.ts'
import { batchOf, chain, recorderOn } from './logs.ts'

const witnessKey = signerFrom('a witness')
const random = createRandom(7)
const BATCHES = 30
const ENTRIES = 5

/** A witness with what can be asked about the logs that it keeps. */
async function open() {
  const chains = await openChains({
    self: witnessKey.account,
    isSigned: isSignedBy,
    disk: () => new MachineDisk(random).open('log'),
    there: [],
    onFound: () => {}
  })
  const forks: Batch[] = []
  const witness = createWitness({
    chains,
    sign: witnessKey.sign,
    isSigned: isSignedBy,
    now: () => 0,
    keeps: () => true,
    hasRoom: () => true,
    onWritten: () => {},
    onFork: (_, batch) => void forks.push(batch),
    log: Object.assign(() => {}, { error: () => {} })
  })
  const db = new DatabaseSync(':memory:')
  for (const sql of MIGRATIONS) db.exec(sql)
  const series = createSeries(db, () => 1_900_000_000_000)
  return {
    forks,
    take: (batch: Batch) => witness.append(chain.agent, { ...batch, number: 0, first: 0 }),
    catchUp: () => series.catchUp(chains, new AbortController().signal),
    rows: () => [
      series.devices(),
      series.points('host:1', 'v', HOUR_MS, 0, Number.MAX_SAFE_INTEGER, 10_000),
      chains.find(chain)!.head
    ]
  }
}

describe('devices: what comes more than once', () => {
  it('and in any order gives the same rows as in order, once', async () => {
    const batches: Batch[] = []
    let head = GENESIS
    for (let i = 0; i < BATCHES; i++) {
      const made = batchOf(i * ENTRIES, head.hash, ENTRIES)
      batches.push(made.batch)
      head = made.head
    }
    const right = await open()
    for (const batch of batches) await right.take(batch)
    await right.catchUp()

    const other = await open()
    const thrice = [batches, batches, batches]
      .flat()
      .map(batch => ({ batch, at: random() }))
      .sort((a, b) => a.at - b.at)
    // each until it is taken: whoever is told that something is missing before it brings it again
    for (let waiting = thrice; waiting.length > 0; ) {
      const behind: typeof waiting = []
      for (const each of waiting) {
        const reply = await other.take(each.batch)
        if (reply.is === 'behind') behind.push(each)
        else ok(reply.is === 'receipt' && reply.seq >= lastSeq(each.batch))
        if (random() < 0.1) await other.catchUp()
      }
      ok(behind.length < waiting.length, 'something is taken in each turn')
      waiting = behind
    }
    await other.catchUp()
    deepEqual(other.rows(), right.rows())
    equal(other.forks.length, 0)
  })

  it('is whole again after any bit of it was another one, and what is wrong is never read', async () => {
    const disk = new MachineDisk(random)
    const first = await recorderOn(disk, 500)
    for (let i = 0; i < 3; i++) await first.record(2)
    const image = disk.image()
    const { log: whole } = first
    const hashes: (Uint8Array | undefined)[] = []
    for (let seq = 0; seq <= whole.head.seq; seq++) hashes.push(await whole.hashAt(seq))
    const files = [...image.get('log')!.keys()]
    ok(files.length > 1, 'a segment that is full, and the newest')
    let named = 0
    let cases = 0
    // a prime step: each place of a byte comes
    for (const name of files)
      for (let bit = 0; bit < image.get('log')!.get(name)!.length * 8; bit += 7) {
        const damaged = new MachineDisk(random)
        damaged.setBack(image)
        damaged.folders.get('log')!.get(name)![bit >> 3]! ^= 1 << (bit & 7)
        const found: string[] = []
        const log = await openChainLog({
          ...{ disk: damaged.open('log'), chain, isSigned: isSignedBy, segmentBytes: 500 },
          onFound: what => found.push(what)
        })
        await log.scrub()
        for (let seq = 0; seq <= log.head.seq; seq++) {
          const hash = await log.hashAt(seq)
          if (hash != null) deepEqual(hash, hashes[seq])
        }
        cases++
        // what ends too early is what a crash leaves, and is fetched without a word
        if (found.length > 0) named++
        else ok(log.head.seq < whole.head.seq)
        while (log.holes.length > 0) await log.repair((await whole.read(log.holes[0]!.from))!)
        while (log.head.seq < whole.head.seq) {
          const batch = (await whole.read(log.head.seq + 1))!
          await log.append(batch, verifyBatch(chain, undefined, batch, isSignedBy).head)
        }
        for (const [seq, hash] of hashes.entries()) deepEqual(await log.hashAt(seq), hash)
      }
    ok(named > cases / 2, `${named} of ${cases} are named`)
  })
})
