import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { isSignedBy } from '../../../ledger/index.ts'
import { deliveredUpTo } from '../../../services/devices/delivery/receipt.ts'
import { decodeBatch, verifyBatch } from '../../../services/devices/log/batch.ts'
import { isWritten, letsGo, pressureOf } from '../../../services/devices/log/budget.ts'
import { openChainLog } from '../../../services/devices/log/chain-log.ts'
import { createFolderDisk } from '../../../services/devices/log/disk.ts'
import { createDriverDevices } from '../../../services/devices/log/driver-devices.ts'
import { decodeEntry, encodeEntry, GENESIS } from '../../../services/devices/log/entry.ts'
import { frameRecord, scanRecords } from '../../../services/devices/log/records.ts'
import { jumpBetween } from '../../../services/devices/time/clock.ts'
import { signerFrom } from '../../ledger/helpers.ts'
import { MachineDisk } from '../../simulation/devices-disk.ts'
import { createRandom } from '../../simulation/random.ts'
import { batchOf, chain, entryOf, recorderOn } from './logs.ts'

describe('devices: entries and batches', () => {
  it('come back as they went in, and take few bytes', () => {
    const entry = entryOf(5, GENESIS.hash, { cpu: 12.5, text: 'é', big: 2n ** 63n, list: [1, null, true] })
    const bytes = encodeEntry(entry)
    deepEqual(decodeEntry(bytes), entry)
    ok(encodeEntry(entryOf(5, GENESIS.hash)).length < 200)
  })

  it('refuse any bit that is another one', () => {
    const { batch } = batchOf(0, GENESIS.hash, 3)
    for (const [i, bytes] of batch.entries.entries())
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = bytes.slice()
        flipped[bit >> 3]! ^= 1 << (bit & 7)
        throws(
          () =>
            verifyBatch(chain, GENESIS, { ...batch, entries: batch.entries.with(i, flipped) }, isSignedBy),
          { name: /^(Chain|Entry)Error$/ }
        )
      }
  })

  it('name the entry that was altered', () => {
    const { batch } = batchOf(0, GENESIS.hash, 5)
    const altered = encodeEntry({ ...decodeEntry(batch.entries[2]!), body: { v: 99 } })
    throws(
      () => verifyBatch(chain, GENESIS, { ...batch, entries: batch.entries.with(2, altered) }, isSignedBy),
      {
        name: 'ChainError',
        seq: 2
      }
    )
    throws(
      () => verifyBatch(chain, GENESIS, { ...batch, entries: batch.entries.with(4, altered) }, isSignedBy),
      {
        name: 'ChainError'
      }
    )
  })

  it('are not taken for those of another chain, agent or place', () => {
    const { batch } = batchOf(0, GENESIS.hash, 2)
    throws(() => verifyBatch({ ...chain, number: 1 }, GENESIS, batch, isSignedBy), { name: 'ChainError' })
    throws(() => verifyBatch({ ...chain, agent: signerFrom('other').account }, GENESIS, batch, isSignedBy), {
      name: 'ChainError'
    })
    throws(() => verifyBatch(chain, { seq: 4, hash: GENESIS.hash }, batch, isSignedBy), {
      name: 'ChainError'
    })
  })

  it('throw nothing but typed errors, whatever bytes come', () => {
    const { batch } = batchOf(0, GENESIS.hash, 2)
    const known = ['EntryError', 'ChainError']
    const check = (bytes: Uint8Array): void => {
      for (const decode of [decodeEntry, decodeBatch]) {
        try {
          decode(bytes)
        } catch (error) {
          ok(known.includes((error as Error).name), `${(error as Error).stack}`)
        }
      }
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 2_000 })
    fc.assert(
      fc.property(fc.nat(batch.entries[0]!.length - 1), fc.nat(255), (place, byte) =>
        check(batch.entries[0]!.with(place, byte))
      ),
      { numRuns: 2_000 }
    )
  })

  it('have a limit', () => {
    throws(() => encodeEntry(entryOf(0, GENESIS.hash, { text: 'x'.repeat(16_000) })), { name: 'EntryError' })
  })
})

describe('devices: the log on a disk', () => {
  it('cuts off what was never finished, wherever the crash came', async () => {
    const { batch } = batchOf(0, GENESIS.hash, 3)
    const whole = frameRecord(batch.entries[0]!)
    for (let cut = 1; cut < whole.length; cut++) {
      const { records, rightBytes, state } = scanRecords(Buffer.concat([whole, whole.subarray(0, cut)]))
      deepEqual([records.length, rightBytes, state], [1, whole.length, 'torn'])
    }
    const disk = new MachineDisk(createRandom(1))
    const first = await recorderOn(disk)
    await first.record(3)
    disk.crashesInWrite = true
    await rejects(first.record(3))
    const { log, record } = await recorderOn(disk)
    equal(log.head.seq, 2)
    await record(2)
    equal((await recorderOn(disk)).log.head.seq, 4)
  })

  it('sets damage aside, gives everything else, and is whole again with what others have', async () => {
    const disk = new MachineDisk(createRandom(2))
    const other = new MachineDisk(createRandom(3))
    const { log, record } = await recorderOn(disk)
    for (let i = 0; i < 20; i++) await record(4)
    ok(log.segments.length > 3)
    other.setBack(disk.image())
    ok(disk.rot())
    equal(await log.scrub(), 1)
    const [hole] = log.holes
    ok(hole != null)
    equal(await log.read(hole.from), undefined)
    ok((await log.read(hole.to + 1)) != null)
    // also after a restart
    const again = (await recorderOn(disk)).log
    deepEqual(again.holes, [hole])
    const whole = (await recorderOn(other)).log
    while (again.holes.length > 0) await again.repair((await whole.read(again.holes[0]!.from))!)
    for (let seq = 0; seq <= log.head.seq; seq++) deepEqual(await again.hashAt(seq), await whole.hashAt(seq))
    equal(await again.scrub(), 0)
  })

  it('lets the oldest go, never the last', async () => {
    const { log, record } = await recorderOn(new MachineDisk(createRandom(4)))
    for (let i = 0; i < 10; i++) await record(4)
    const { seq } = log.head
    while ((await log.dropOldest()) > 0);
    equal(log.segments.length, 1)
    equal(log.head.seq, seq)
    equal(await log.read(0), undefined)
    ok((await log.read(log.first)) != null)
  })

  it('writes what waits in few batches', async () => {
    const disk = new MachineDisk(createRandom(5))
    const { log, recorder } = await recorderOn(disk, 1 << 20)
    const all = Array.from({ length: 3_000 }, (_, v) =>
      recorder.record({ class: 'sample', device: 'd', kind: 'k', body: { v } })
    )
    const places = await Promise.all(all)
    deepEqual(
      places.map(place => place!.seq),
      places.map((_, seq) => seq)
    )
    equal(log.head.seq, 2_999)
    const bytes = [...disk.folders.get('log')!.values()]
    equal(bytes.length, 1)
    ok(scanRecords(bytes[0]!).records.length < 60, 'not one for each of 3,000 entries')
  })

  it('tells who has too much for one entry, and nobody else', async () => {
    const { recorder } = await recorderOn(new MachineDisk(createRandom(6)))
    const draft = { class: 'account' as const, device: 'd', kind: 'k' }
    const results = await Promise.allSettled([
      recorder.record({ ...draft, body: { v: 1 } }),
      recorder.record({ ...draft, body: { v: 'x'.repeat(17_000) } }),
      recorder.record({ ...draft, body: { v: 2 } })
    ])
    deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled']
    )
    equal((results[2] as PromiseFulfilledResult<{ seq: number }>).value.seq, 1)
  })

  it('is on a real folder what it was', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-log-'))
    try {
      const disk = createFolderDisk(folder)
      const log = await openChainLog({ disk, chain, isSigned: isSignedBy })
      const one = batchOf(0, GENESIS.hash, 3)
      await log.append(one.batch, one.head)
      const two = batchOf(3, one.head.hash, 2)
      await log.append(two.batch, two.head)
      await log.close()
      const again = await openChainLog({ disk: createFolderDisk(folder), chain, isSigned: isSignedBy })
      deepEqual(again.head, two.head)
      equal((await again.read(0))!.entries.length, 5)
      await again.close()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('devices: decisions', () => {
  it('delivered is what two witnesses have', () => {
    equal(deliveredUpTo([]), -1)
    equal(deliveredUpTo([{ seq: 9 }]), -1)
    equal(deliveredUpTo([{ seq: 9 }, { seq: 4 }, { seq: 7 }]), 7)
  })

  it('with less room samples go first, then events, accounts never', () => {
    deepEqual(
      [99, 100, 101, 105, 106].map(bytes => pressureOf(bytes, 100)),
      ['none', 'none', 'thin', 'thin', 'account']
    )
    equal(Array.from({ length: 100 }, (_, i) => isWritten('thin', 'sample', i)).filter(Boolean).length, 10)
    ok(
      isWritten('thin', 'event', 1) && !isWritten('account', 'event', 1) && isWritten('account', 'account', 1)
    )
  })

  it('only what is safe elsewhere is let go', () => {
    ok(!letsGo({ timeMs: 0, isSafe: false }, 1e12, 1, 'account'))
    ok(letsGo({ timeMs: 0, isSafe: true }, 1e12, 1, 'none'))
    ok(!letsGo({ timeMs: 1e12, isSafe: true }, 1e12, 1, 'none'))
    ok(letsGo({ timeMs: 1e12, isSafe: true }, 1e12, 1, 'thin'))
  })

  it('a clock that was set is noticed, one that goes is not', () => {
    const at = (monoMs: number, timeMs: number) => ({ monoMs, timeMs })
    equal(jumpBetween(at(0, 1_000), at(10_000, 11_400)), undefined)
    deepEqual(jumpBetween(at(0, 1_000), at(10_000, 3_600_000)), { fromMs: 11_000, toMs: 3_600_000 })
  })
})

describe('devices: what drivers may write', () => {
  const description = {
    kind: 'meter',
    serial: '7',
    name: 'a meter',
    readings: { volts: { type: 'number' as const, unit: 'V' } },
    events: { opened: { class: 'account' as const } }
  }
  function start(pressure: () => ReturnType<typeof pressureOf> = () => 'none') {
    const written: { kind: string; body: unknown }[] = []
    const drivers = createDriverDevices({
      record: async ({ kind, body }) => ({ number: 0, seq: written.push({ kind, body }) - 1 }),
      pressure,
      described: () => undefined,
      latest: async () => undefined,
      before: async () => undefined,
      samples: async () => [],
      onOpened: () => {}
    })
    return { written, drivers }
  }

  it('is what they announced, of its type', async () => {
    const { written, drivers } = start()
    const device = await drivers.devices.open(description)
    await device.sample({ volts: 230 })
    await device.event('opened', { by: 'hand' })
    deepEqual(
      written.map(({ kind }) => kind),
      ['device', 'reading', 'opened']
    )
    for (const values of [{ amps: 1 }, { volts: '230' }, { volts: Number.NaN }, { toString: 1 }])
      throws(() => device.sample(values as never), { name: 'ReadingError' })
    throws(() => device.event('closed', {}), { name: 'ReadingError' })
    await rejects(drivers.devices.open({ ...description, kind: '../x' }), { name: 'ReadingError' })
  })

  it('that found no room is counted, and told once there is some', async () => {
    let pressure: ReturnType<typeof pressureOf> = 'thin'
    const { written, drivers } = start(() => pressure)
    const device = await drivers.devices.open(description)
    for (let i = 0; i < 100; i++) await device.sample({ volts: i })
    equal(written.filter(({ kind }) => kind === 'reading').length, 10)
    await drivers.writeGaps()
    equal(written.at(-1)!.kind, 'reading')
    pressure = 'none'
    await drivers.writeGaps()
    deepEqual(written.at(-1), { kind: 'gap', body: { left: 90 } })
    match(device.id, /^meter:7$/)
  })
})
