import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createIdentity } from '../../../bootstrap/index.ts'
import { isSignedBy } from '../../../ledger/index.ts'
import { valve } from '../../../node/demo/valve.ts'
import { createHashReceipts } from '../../../services/devices/delivery/hash-receipts.ts'
import { createHashWitness } from '../../../services/devices/delivery/hash-witness.ts'
import { createHeads } from '../../../services/devices/delivery/heads.ts'
import { HASH_DOMAIN, receiptBytes } from '../../../services/devices/delivery/receipt.ts'
import { HEAD_DOMAIN, headBytes } from '../../../services/devices/log/batch.ts'
import type { ChainLog } from '../../../services/devices/log/chain-log.ts'
import { GENESIS, type Head } from '../../../services/devices/log/entry.ts'
import { exportChain, exportHeads, verifyExport } from '../../../services/devices/log/export.ts'
import type { Request } from '../../../services/devices/messages.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'
import { devices, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { signerFrom } from '../../ledger/helpers.ts'
import { MachineDisk } from '../../simulation/devices-disk.ts'
import { createRandom } from '../../simulation/random.ts'
import { startHost } from '../host/start-host.ts'
import { batchFrom, chain, key, recorderOn } from './logs.ts'

const HOUR_MS = 3_600_000
/** what entries of these logs say */
const ENTRY_MS = 1_800_000_000_000
const outside = signerFrom('an auditor')
const { signal } = new AbortController()

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const headsIn = () => {
  const db = new DatabaseSync(':memory:')
  for (const sql of MIGRATIONS) db.exec(sql)
  return createHeads(db)
}

/** An auditor whose clock the test sets. */
function audit() {
  const clock = { ms: ENTRY_MS }
  const heads = headsIn()
  const forks: number[] = []
  const { attest } = createHashWitness({
    ...{ self: outside.account, heads, sign: outside.sign, isSigned: isSignedBy, now: () => clock.ms },
    onFork: (_, number) => void forks.push(number)
  })
  /** that head, as its agent signs it */
  const sign = ({ seq, hash }: Head, number = 0) =>
    attest(chain.agent, {
      ...{ number, seq, hash },
      signature: key.sign(HEAD_DOMAIN, headBytes({ ...chain, number }, { seq, hash }))
    })
  return { clock, heads, forks, attest, sign }
}

/** A log of so many entries, all with the same value; another one is another log of the same numbers. */
async function logOf(count: number, v: number, timeMs = ENTRY_MS): Promise<ChainLog> {
  const { log } = await recorderOn(new MachineDisk(createRandom(1)))
  const { batch, head } = batchFrom(0, GENESIS.hash, new Array(count).fill({ body: { v }, timeMs }))
  await log.append(batch, head)
  return log
}
const headAt = async (log: ChainLog, seq: number): Promise<Head> => ({ seq, hash: (await log.hashAt(seq))! })

describe('devices: who has the hash of a log only', () => {
  it('signs what its agent has signed, once an hour, and no two entries of one number', async () => {
    const { clock, heads, forks, attest, sign } = audit()
    const log = await logOf(8, 1)
    const other = await logOf(8, 2)
    equal(sign(await headAt(log, 2)).seq, 2)
    equal(sign(await headAt(log, 3)).seq, 2, 'within the hour')
    clock.ms += HOUR_MS
    equal(sign(await headAt(log, 5)).seq, 5)
    clock.ms += HOUR_MS
    equal(hex(sign(await headAt(log, 4)).hash), hex((await log.hashAt(5))!), 'behind it')
    equal(forks.length, 0)
    equal(hex(sign(await headAt(other, 5)).hash), hex((await log.hashAt(5))!), 'what was signed first')
    deepEqual(forks, [0])
    deepEqual(
      heads.of(chain).map(({ seq }) => seq),
      [2, 5]
    )
    const forged: Request<'attest'> = { number: 0, ...(await headAt(log, 7)), signature: new Uint8Array(64) }
    throws(() => attest(chain.agent, forged), { name: 'EntryError' })
    for (let number = 1; number < 64; number++) sign(await headAt(log, 0), number)
    throws(() => sign(GENESIS, 64), { name: 'LogFullError' })
  })

  it('is asked for what is here, and an agent whose log is another one than it has signed is told so', async () => {
    const { attest } = audit()
    const heads = headsIn()
    const states: (string | undefined)[] = []
    let isAway = true
    const askFor = async (log: ChainLog, reply = attest): Promise<string | undefined> => {
      const receipts = createHashReceipts({
        agent: { log, flush: async () => {} },
        ...{ heads, isSigned: isSignedBy, witnesses: () => [outside.account] },
        peers: {
          async ask(_: string, __: string, request: Request<'attest'>) {
            if (isAway) throw new Error('it cannot be reached')
            return reply(chain.agent, request)
          }
        } as never,
        onState: (_, why) => void states.push(why)
      })
      await receipts.round(signal)
      // who has signed is not asked again at once
      await receipts.round(signal)
      return states.at(-1)
    }
    const log = await logOf(6, 1)
    match((await askFor(log))!, /reached/)
    equal(states.splice(0).length, 2, 'again while it does not answer')
    isAway = false
    equal(await askFor(log), undefined)
    equal(states.splice(0).length, 1)
    equal(heads.newest(chain, outside.account)?.seq, 5)
    match((await askFor(await logOf(3, 1)))!, /another entry 5 .* set back, or altered/)
    match((await askFor(await logOf(6, 2)))!, /another entry 5 /)
    const lying = await askFor(log, (agent, request) => ({
      ...attest(agent, request),
      signature: new Uint8Array(64)
    }))
    match(lying!, /did not sign/)
  })

  describe('proves', () => {
    let folder: string
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'artel-hashes-'))
    })
    afterEach(() => rm(folder, { recursive: true, force: true }))

    it('to anybody that a log was not altered by all who keep it together, and when its clock was ahead', async () => {
      const { clock, heads, sign } = audit()
      const log = await logOf(6, 1)
      for (const seq of [2, 5]) {
        sign(await headAt(log, seq))
        clock.ms += HOUR_MS
      }
      const theirs = join(folder, 'heads')
      await exportHeads(chain, heads.of(chain), theirs)
      await exportChain(log, [], join(folder, 'log'), signal)
      const verdict = await verifyExport(join(folder, 'log'), isSignedBy, theirs)
      deepEqual(verdict.faults, [])
      deepEqual(verdict.witnesses, [
        { peer: outside.account, seq: 5, timeMs: ENTRY_MS + HOUR_MS, isHashOnly: true }
      ])
      equal(verdict.ahead, 0)

      // the agent signs another past, and whoever kept it agrees
      const altered = await logOf(6, 2)
      await exportChain(altered, [], join(folder, 'altered'), signal)
      equal((await verifyExport(join(folder, 'altered'), isSignedBy)).isRight, true)
      const { isRight, faults } = await verifyExport(join(folder, 'altered'), isSignedBy, theirs)
      equal(isRight, false)
      match(faults.join(), /signed another entry 2/)

      // who is asked makes nothing up either: neither what he has not signed, nor what the agent has not
      const [first] = heads.of(chain)
      const head = await headAt(altered, 2)
      const signature = outside.sign(HASH_DOMAIN, receiptBytes(chain, head, first!.timeMs))
      for (const [i, made] of [{}, { signature }].entries()) {
        const path = join(folder, `made up ${i}`)
        await exportHeads(chain, [{ ...first!, ...head, ...made }], path)
        match(
          (await verifyExport(join(folder, 'altered'), isSignedBy, path)).faults.join(),
          /a receipt for entry 2 is not what .* signed/
        )
      }
      await exportHeads({ ...chain, number: 1 }, heads.of(chain), join(folder, 'other'))
      await rejects(verifyExport(join(folder, 'log'), isSignedBy, join(folder, 'other')), {
        name: 'EntryError'
      })
      await rejects(verifyExport(join(folder, 'log'), isSignedBy, join(folder, 'log')), {
        name: 'EntryError'
      })

      // its clock was ahead by less than the two hours until the second receipt, and by more than the first allows
      const late = await logOf(6, 1, ENTRY_MS + 10 * 60_000)
      const judge = audit()
      for (const seq of [2, 5]) {
        judge.sign(await headAt(late, seq))
        judge.clock.ms += HOUR_MS
      }
      await exportChain(late, judge.heads.of(chain), join(folder, 'late'), signal)
      const said = await verifyExport(join(folder, 'late'), isSignedBy)
      deepEqual([said.isRight, said.ahead], [true, 3], 'wrong by its clock, not altered')
    })
  })

  it('sees nothing of it, between nodes', async function () {
    this.timeout(600_000)
    const folder = await mkdtemp(join(tmpdir(), 'artel-hashes-'))
    const identities = [await createIdentity(), await createIdentity()]
    const [boardId, auditorId] = identities.map(({ peerId }) => peerId.toString()) as [string, string]
    const call = <T>(
      host: Awaited<ReturnType<typeof startHost>>,
      operation: string,
      input = {}
    ): Promise<T> => host.services.call('devices', operation, input, { caller: OWNER }) as Promise<T>
    try {
      await using auditor = await startHost({
        ...{ modules: [devices], identity: identities[1], folder: join(folder, 'auditor') },
        settings: { devices: { hashWitnessFor: [boardId] } }
      })
      await using board = await startHost({
        ...{ modules: [devices, valve], identity: identities[0], folder: join(folder, 'board') },
        settings: { devices: { hashWitnessPeers: [auditorId] } }
      })
      await board.connect(auditor)
      interface Status {
        witnesses: { seq: number; isHashOnly: boolean }[]
        chains: { agent: string }[]
      }
      await until(async () => {
        const [one] = (await call<Status>(board, 'status')).witnesses
        return (one?.seq ?? -1) >= 0
      }, 'it has signed')
      const [theirs, ours] = ['heads', 'log'].map(name => join(folder, name)) as [string, string]
      equal((await call<{ heads: number }>(auditor, 'export', { path: theirs, agent: boardId })).heads, 1)
      await call(board, 'export', { path: ours })
      const verdict = await call<{ isRight: boolean; witnesses: object[] }>(auditor, 'verify', {
        ...{ path: ours, against: theirs }
      })
      deepEqual([verdict.isRight, verdict.witnesses.length], [true, 1])
      const { chains } = await call<Status>(auditor, 'status')
      ok(
        chains.every(({ agent }) => agent === auditorId),
        'it keeps nothing of it'
      )
      ok((await call<Status>(board, 'status')).witnesses.every(({ isHashOnly }) => isHashOnly))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
