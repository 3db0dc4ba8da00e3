import type { Log, Signer } from '../context.ts'
import { ChainError } from '../errors.ts'
import { follow, type IsSigned, verifyBatch } from '../log/batch.ts'
import type { ChainLog } from '../log/chain-log.ts'
import { AGENT, CHAIN, type ChainId, decodeEntry, type Entry, GENESIS, MOVED } from '../log/entry.ts'
import { createRecorder, type Draft, type Moment, type Place, type Recorder } from '../log/recorder.ts'
import type { Peers, Reply } from '../messages.ts'
import type { Chains } from './chains.ts'
import { deliveredUpTo, isReceipt, type Receipt } from './receipt.ts'

/** A witness that is asked at the start and says nothing is not waited for: devices must be heard. */
const HEAR_MS = 5_000

export interface AgentInit {
  self: string
  fleet: string
  chains: Chains
  peers: Peers
  witnesses(): readonly string[]
  /** what witnesses have signed, kept from one start to the next */
  receipts: Receipts
  sign: Signer
  isSigned: IsSigned
  moment(): Moment
  onWritten(chain: ChainId, entries: readonly Entry[]): void
  /** something that its owner must know; undefined: over */
  alert(what: string, why: string | undefined): void
  log: Log
}

export interface Receipts {
  of(number: number): readonly Receipt[]
  save(number: number, receipt: Receipt): void
}

type Kept = Reply<'chains'>['chains'][number]

/** How a delivery to one witness went on. */
export type Step = 'sent' | 'idle' | 'full' | 'anew'

/** Writes what the devices of this node say, and brings it to its witnesses. */
export async function createAgent(init: AgentInit) {
  const { self, fleet, chains, peers, witnesses, receipts, sign, isSigned, moment, alert, log } = init
  /** witness → the last entry that it has, as far as is known */
  const cursors = new Map<string, number>()
  /** witnesses that have said what they have, since the start */
  const heard = new Set<string>()
  let recorder = await record(chains.own()?.chain.number ?? 0)
  /** nothing new is written while a chain begins anew */
  let anew: Promise<void> | undefined
  const ready = Promise.withResolvers<void>()
  /** what the chain before has and others do not is in this one */
  let isMoved = false
  /** the first entry of a chain that begins anew, until it is written */
  let opening: Draft | undefined

  async function record(number: number): Promise<Recorder> {
    const chain = { agent: self, number }
    return createRecorder({
      log: await chains.kept(chain),
      fleet,
      sign,
      moment,
      onWritten: entries => init.onWritten(chain, entries)
    })
  }

  /**
   * Asks a witness what it has, once after each start: a disk that was set back, or damaged, takes its entries back
   * before it writes others with their numbers.
   */
  async function hear(witness: string, signal: AbortSignal): Promise<void> {
    const kept = await chainsAt(witness, signal)
    const { chain, head } = recorder.log
    const newest = kept.sort((a, b) => b.number - a.number)[0]
    const isAhead =
      newest != null &&
      (newest.number > chain.number || (newest.number === chain.number && newest.seq > head.seq))
    if (isAhead) {
      const common = await commonWith(witness, recorder.log, kept, signal)
      if (common < head.seq) await diverge(witness, recorder.log, kept, common)
      else await alone(() => takeBack(witness, newest, signal))
    }
    heard.add(witness)
  }

  async function takeBack(witness: string, { number, first }: Kept, signal: AbortSignal): Promise<void> {
    await recorder.end()
    try {
      recorder = await record(number)
      const own = recorder.log
      const before = own.head.seq
      for (;;) {
        const from = own.head.seq < 0 ? first : own.head.seq + 1
        const { batch } = await peers.ask(witness, 'read', { ...own.chain, from }, { signal })
        if (batch == null || batch.from !== from) break
        const after = own.head.seq < 0 ? undefined : own.head
        const { head, entries } = verifyBatch(own.chain, after, batch, isSigned)
        await own.append(batch, head)
        init.onWritten(own.chain, entries)
      }
      if (own.head.seq > before) log('%d entries are back from %s', own.head.seq - before, witness)
    } finally {
      // the one before has ended
      recorder = await record(recorder.log.chain.number)
    }
  }

  /**
   * A witness has other entries of ours: this disk was set back and written on. The chain is over; the next one begins
   * with both heads, and with everything that the other side does not have.
   */
  async function diverge(
    witness: string,
    own: ChainLog,
    kept: readonly Kept[],
    common: number
  ): Promise<void> {
    const theirs = kept.find(({ number }) => number === own.chain.number) ?? { ...GENESIS }
    const number = Math.max(own.chain.number, ...kept.map(each => each.number)) + 1
    await alone(async () => {
      if (recorder.log !== own) return
      await recorder.end()
      const { chain, head } = own
      recorder = await record(number)
      cursors.clear()
      isMoved = false
      const other = { witness, seq: theirs.seq, hash: theirs.hash }
      const body = { previous: chain.number, common, until: head.seq, own: { ...head }, other }
      opening = { class: 'account', device: AGENT, kind: CHAIN, body }
      alert(
        'fork',
        `chain ${chain.number} was continued twice: ${witness} has entry ${theirs.seq} of it, this disk another one behind entry ${common}; chain ${number} names both`
      )
      await moveRest()
    })
  }

  /** Nothing new is written meanwhile. */
  async function alone(work: () => Promise<void>): Promise<void> {
    while (anew != null) await anew
    anew = work().finally(() => {
      anew = undefined
    })
    await anew
  }

  /** Goes on with what `startAnew` began, also after a crash in the middle of it. */
  async function moveRest(): Promise<void> {
    const { log: own } = recorder
    if (opening != null && own.head.seq < 0) await recorder.record(opening)
    const first = await own.read(0)
    const { kind, body } = first == null ? {} : decodeEntry(first.entries[0]!)
    if (kind === CHAIN && body != null) {
      const { previous, common, until } = body as Record<string, number>
      const old = chains.find({ agent: self, number: previous! })
      // they come right behind the first, in order
      for (let seq = common! + 1 + own.head.seq; old != null && seq <= until!; ) {
        const batch = await old.read(seq)
        if (batch == null) break
        const some = batch.entries.slice(0, until! - seq + 1).map(unwrapped)
        await Promise.all(
          some.map(entry =>
            recorder.record({ class: 'account', device: AGENT, kind: MOVED, body: { entry } })
          )
        )
        seq += some.length
      }
    }
    isMoved = true
  }

  async function chainsAt(witness: string, signal: AbortSignal): Promise<Kept[]> {
    const { chains: kept } = await peers.ask(witness, 'chains', { agent: self }, { signal })
    return kept.filter(({ agent, seq }) => agent === self && seq >= 0)
  }

  /** The last entry of a chain that both have; -1 for none. */
  async function commonWith(
    witness: string,
    own: ChainLog,
    kept: readonly Kept[],
    signal: AbortSignal
  ): Promise<number> {
    const theirs = kept.find(({ number }) => number === own.chain.number)?.seq ?? -1
    let low = own.first - 1
    let high = Math.min(own.head.seq, theirs)
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const { batch } = await peers.ask(witness, 'read', { ...own.chain, from: middle }, { signal })
      const hash = batch == null ? undefined : follow(own.chain, undefined, batch).hashes[0]
      const ours = await own.hashAt(middle)
      const isSame = hash != null && ours != null && Buffer.compare(hash, ours) === 0
      if (isSame) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Sends one batch to a witness, if it lacks something. */
  async function deliver(witness: string, signal: AbortSignal): Promise<Step> {
    if (!heard.has(witness)) await hear(witness, signal)
    const { log: own } = recorder
    const { number } = own.chain
    const cursor = cursors.get(witness) ?? receipts.of(number).find(each => each.witness === witness)?.seq
    const from = Math.max((cursor ?? -1) + 1, own.first)
    if (from > own.head.seq) return 'idle'
    const batch = await own.read(from)
    if (batch == null) return 'idle'
    const reply = await peers.ask(witness, 'append', { ...batch, number, first: own.first }, { signal })
    if (recorder.log !== own) return 'anew'
    if (reply.is === 'full') return 'full'
    if (reply.is === 'receipt') {
      const { is, ...signed } = reply
      const receipt = { ...signed, witness }
      if (!isReceipt(own.chain, receipt, isSigned))
        throw new ChainError(receipt.seq, `${witness} gave a receipt that it did not sign`)
      const ours = receipt.seq > own.head.seq ? undefined : await own.hashAt(receipt.seq)
      if (ours != null && Buffer.compare(ours, receipt.hash) === 0) {
        cursors.set(witness, receipt.seq)
        receipts.save(number, receipt)
        return 'sent'
      }
    } else if (reply.is === 'behind') {
      cursors.set(witness, reply.seq)
      return 'sent'
    }
    // it knows more of us than we do, or something else
    const kept = await chainsAt(witness, signal)
    await diverge(witness, own, kept, await commonWith(witness, own, kept, signal))
    return 'anew'
  }

  return {
    /** Asks the witnesses what they have; what is recorded waits for it, some seconds at most. */
    async start(signal: AbortSignal): Promise<void> {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(HEAR_MS)])
      const asked = witnesses().map(witness =>
        hear(witness, deadline).catch((error: Error) =>
          log('%s does not say what it has: %s', witness, error.message)
        )
      )
      await Promise.all(asked)
      ready.resolve()
    },
    /**
     * Resolves when it is on this disk.
     *
     * @throws {EntryError} this one cannot be written
     * @throws {LogFullError}
     */
    async record(draft: Draft, at: Moment = moment()): Promise<Place> {
      await ready.promise
      for (;;) {
        if (!isMoved && anew == null) await alone(moveRest)
        await anew
        const place = await recorder.record(draft, at)
        if (place != null) return place
      }
    },
    deliver,
    /** Puts back what is missing in the own log. */
    async repair(signal: AbortSignal): Promise<void> {
      for (const witness of witnesses())
        for (const { from } of [...recorder.log.holes]) {
          const { batch } = await peers.ask(witness, 'read', { ...recorder.log.chain, from }, { signal })
          if (batch != null) await recorder.log.repair(batch)
        }
    },
    /** Writes what waits. */
    async flush(): Promise<void> {
      await ready.promise
      await anew
      await recorder.flush()
    },
    get log() {
      return recorder.log
    },
    /** the last entry of the current chain that two witnesses have */
    delivered: (): number => deliveredUpTo(receipts.of(recorder.log.chain.number))
  }
}

export type Agent = Awaited<ReturnType<typeof createAgent>>

/** An entry that was moved before is moved as it was first. */
function unwrapped(bytes: Uint8Array): Uint8Array {
  const { kind, body } = decodeEntry(bytes)
  return kind === MOVED && body.entry instanceof Uint8Array ? body.entry : bytes
}
