import type { IsSigned, Log, Signer } from '../context.ts'
import { ChainError } from '../errors.ts'
import { follow, lastSeq, verifyBatch } from '../log/batch.ts'
import type { ChainLog } from '../log/chain-log.ts'
import {
  AGENT,
  CHAIN,
  type ChainId,
  decodeEntry,
  type Entry,
  GENESIS,
  hashOf,
  LOST,
  MOVED
} from '../log/entry.ts'
import type { Hole } from '../log/holes.ts'
import { createRecorder, type Draft, type Moment, type Place, type Recorder } from '../log/recorder.ts'
import { chainsAt, type Peers, type Reply } from '../messages.ts'
import type { Chains } from './chains.ts'
import { deliveredUpTo, isReceipt, type Receipt } from './receipt.ts'

/** A witness that says nothing at the start is not waited for: devices must be heard. */
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
  async function hear(witness: string, signal: AbortSignal, patience = signal): Promise<void> {
    const kept = await keptAt(witness, patience)
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
    const done = work()
    // who waits for its end has nothing to do with how it ends
    anew = done.then(
      () => undefined,
      () => undefined
    )
    try {
      await done
    } finally {
      anew = undefined
    }
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
        if (batch == null) {
          // damaged: asked for, and told, as everything that is missing
          seq = old.holes.find(({ from, to }) => seq >= from && seq <= to)?.to ?? until!
          seq++
          continue
        }
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

  async function keptAt(witness: string, signal: AbortSignal): Promise<Kept[]> {
    const kept: Kept[] = []
    for await (const each of chainsAt(witness, peers, self, signal))
      if (each.agent === self && each.seq >= 0) kept.push(each)
    return kept
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
      // what is missing here says nothing
      const isSame = ours == null || (hash != null && Buffer.compare(hash, ours) === 0)
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
    let batch = await own.read(from)
    const behind = batch == null ? own.next(from) : undefined
    // what was given up is as what was let go
    if (behind != null) batch = await own.read(behind)
    if (batch == null)
      throw new ChainError(from, `entry ${from} is damaged here; the witnesses are asked for it`)
    const first = behind ?? own.first
    const reply = await peers.ask(witness, 'append', { ...batch, number, first }, { signal })
    if (recorder.log !== own) return 'anew'
    if (reply.is === 'full') return 'full'
    if (reply.is === 'receipt') {
      const { is, ...signed } = reply
      const receipt = { ...signed, witness }
      if (!isReceipt(own.chain, receipt, isSigned))
        throw new ChainError(receipt.seq, `${witness} gave a receipt that it did not sign`)
      const isOfBatch = receipt.seq === lastSeq(batch)
      const ours = isOfBatch
        ? hashOf(batch.entries.at(-1)!)
        : receipt.seq > own.head.seq
          ? undefined
          : await own.hashAt(receipt.seq)
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
    const kept = await keptAt(witness, signal)
    await diverge(witness, own, kept, await commonWith(witness, own, kept, signal))
    return 'anew'
  }

  async function bringBack(own: ChainLog, hole: Hole, signal: AbortSignal): Promise<void> {
    let isLost = true
    for (const witness of witnesses()) {
      try {
        const { batch } = await peers.ask(witness, 'read', { ...own.chain, from: hole.from }, { signal })
        if (batch == null) continue
        await own.repair(batch)
        return
      } catch (error) {
        // it may have them
        isLost = false
        log('%s does not give entry %d: %s', witness, hole.from, (error as Error).message)
      }
    }
    if (!isLost) return
    const { from, to } = hole
    const { number } = own.chain
    alert('lost', `entries ${from} to ${to} of chain ${number} were damaged before any witness had them`)
    await write({ class: 'account', device: AGENT, kind: LOST, body: { number, from, to } })
    await own.giveUp({ from, to })
  }

  async function write(draft: Draft, at: Moment = moment()): Promise<Place> {
    await ready.promise
    for (;;) {
      if (!isMoved && anew == null) await alone(moveRest)
      await anew
      const place = await recorder.record(draft, at)
      if (place != null) return place
    }
  }

  return {
    /** Asks the witnesses what they have; what is recorded waits for that, and for what comes back. */
    async start(signal: AbortSignal): Promise<void> {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(HEAR_MS)])
      const asked = witnesses().map(witness =>
        hear(witness, signal, patience).catch((error: Error) =>
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
    record: write,
    deliver,
    /** Puts back what is missing in the own logs, as far as witnesses have it. */
    async repair(signal: AbortSignal): Promise<void> {
      for (const own of chains.of(self)) {
        const asked = new Set<number>()
        for (;;) {
          const hole = own.holes.find(({ from }) => !asked.has(from))
          if (hole == null) break
          asked.add(hole.from)
          await bringBack(own, hole, signal)
        }
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
