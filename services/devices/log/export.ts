import { open } from 'node:fs/promises'
import { encode } from '@ipld/dag-cbor'
import type { IsSigned } from '../context.ts'
import { isReceipt, type Receipt } from '../delivery/receipt.ts'
import { ChainError, EntryError, ExportPathError } from '../errors.ts'
import { AHEAD_MS } from '../time/clock.ts'
import { decodeBatch, encodeBatch, follow, HEAD_DOMAIN, headBytes } from './batch.ts'
import type { ChainLog } from './chain-log.ts'
import { type ChainId, count, decodeTuple, type EntryClass, GENESIS, type Head, hashIn } from './entry.ts'
import { agentOf, keyOf } from './keys.ts'
import { frameRecord, HEADER_BYTES, MAX_RECORD_BYTES, recordAt } from './records.ts'

/*
 * One chain in a file, for a stick or an auditor: [magic, version, agent key, number], the batches in order, and what
 * witnesses signed: ['receipt', witness key, seq, hash, ms, signature], or ['hash', …, signature of the agent] of who has
 * seen the hash only; each in a record. Of who has nothing else there are no batches.
 */
const MAGIC = 'artel device log'
const VERSION = 1
const RECEIPT = 'receipt'
const HASH = 'hash'
const READ_BYTES = 1 << 20
const TURN_BYTES = 4096
/** Faults that are told; the first is the one that matters. */
const MAX_FAULTS = 20

/** Writes everything that is kept of a chain; entries written. @throws {ExportPathError} */
export async function exportChain(
  log: ChainLog,
  receipts: readonly Receipt[],
  path: string,
  signal: AbortSignal
): Promise<number> {
  const { chain, first } = log
  let at = first
  await write(path, chain, async put => {
    while (at <= log.head.seq) {
      signal.throwIfAborted()
      const batch = await log.read(at)
      if (batch == null)
        throw new ExportPathError(`entry ${at} of chain ${chain.number} is missing here; export it elsewhere`)
      await put(encodeBatch(batch))
      at += batch.entries.length
    }
    // of what was let go nothing can be checked any more
    for (const each of receipts) if (each.seq >= first) await put(encodeReceipt(each))
  })
  return at - first
}

/** Writes the heads of a chain of which nothing else is here. @throws {ExportPathError} */
export const exportHeads = (chain: ChainId, receipts: readonly Receipt[], path: string): Promise<void> =>
  write(path, chain, async put => {
    for (const each of receipts) await put(encodeReceipt(each))
  })

async function write(
  path: string,
  { agent, number }: ChainId,
  fill: (put: (payload: Uint8Array) => Promise<unknown>) => Promise<void>
): Promise<void> {
  const file = await opened(path, 'wx')
  try {
    const put = (payload: Uint8Array) => file.write(frameRecord(payload))
    await put(encode([MAGIC, VERSION, keyOf(agent), number]))
    await fill(put)
    await file.sync()
  } finally {
    await file.close()
  }
}

const encodeReceipt = ({ witness, seq, hash, timeMs, signature, headSignature }: Receipt): Uint8Array =>
  encode([
    ...[headSignature == null ? RECEIPT : HASH, keyOf(witness), seq, hash, timeMs, signature],
    ...(headSignature == null ? [] : [headSignature])
  ])

export interface Verdict {
  isRight: boolean
  agent: string
  number: number
  fleet: string
  /** first and last entry; -1 for none */
  first: number
  last: number
  entries: Record<EntryClass, number>
  /** ms since 1970, as the agent's clock said */
  fromMs?: number
  toMs?: number
  /** entries whose time is more than five minutes after one at which a witness had signed them */
  ahead: number
  /** up to which entry each witness has signed that it has the same, or, `isHashOnly`, that this is its hash */
  witnesses: { peer: string; seq: number; timeMs: number; isHashOnly: boolean }[]
  faults: string[]
}

/**
 * Checks an exported chain with nothing but its file: every hash, every signature of the agent and of witnesses.
 *
 * @param against what somebody else has exported of the same chain: its receipts count too, and cannot have been left out
 * @throws {ExportPathError} one of them cannot be read
 * @throws {EntryError} it is no export, or they are of two chains
 */
export async function verifyExport(path: string, isSigned: IsSigned, against?: string): Promise<Verdict> {
  const faults: string[] = []
  const fault = (what: string): void => void (faults.length < MAX_FAULTS && faults.push(what))
  const chain = await chainIn(path)
  const verdict: Verdict = {
    isRight: false,
    ...chain,
    fleet: '',
    first: -1,
    last: -1,
    entries: { account: 0, event: 0, sample: 0 },
    ahead: 0,
    witnesses: [],
    faults
  }
  /** heads that receipts may be about are few; the hashes of all would be many */
  const receipts: Receipt[] = []
  let head: Head | undefined

  let isFirst = true
  for await (const payload of readRecords(path, fault)) {
    if (isFirst) {
      isFirst = false
      continue
    }
    try {
      if (isReceiptRecord(payload)) receipts.push(receiptIn(payload))
      else head = take(payload, head)
    } catch (error) {
      if (!(error instanceof ChainError || error instanceof EntryError)) throw error
      fault(error.message)
      // go on behind it: what follows may still be right
      head = undefined
    }
  }
  if (against != null) receipts.push(...(await receiptsIn(against, chain, fault)))
  await checkReceipts()
  return { ...verdict, isRight: faults.length === 0 }

  function take(payload: Uint8Array, before: Head | undefined): Head {
    const batch = decodeBatch(payload)
    if (verdict.first < 0) verdict.first = batch.from
    else if (batch.from !== verdict.last + 1)
      fault(`entries ${verdict.last + 1} to ${batch.from - 1} are missing`)
    verdict.last = batch.from + batch.entries.length - 1
    const { entries, head: after } = follow(chain, before, batch)
    for (const entry of entries) {
      verdict.fleet ||= entry.fleet
      verdict.entries[entry.class]++
      verdict.fromMs ??= entry.timeMs
      verdict.toMs = entry.timeMs
    }
    if (!isSigned(chain.agent, HEAD_DOMAIN, headBytes(chain, after), batch.signature))
      throw new ChainError(after.seq, `up to entry ${after.seq} is not what ${chain.agent} signed`)
    return after
  }

  /** A second walk, for the hashes that receipts name, and the times that they bound. */
  async function checkReceipts(): Promise<void> {
    const wanted = new Map(receipts.map(({ seq }) => [seq, GENESIS.hash]))
    const right = new Set(receipts.filter(each => isReceipt(chain, each, isSigned)))
    const latest = latestBy([...right])
    for await (const payload of readRecords(path, () => undefined)) {
      try {
        if (isReceiptRecord(payload)) continue
        const batch = decodeBatch(payload)
        const { hashes, entries } = follow(chain, undefined, batch)
        for (const [i, hash] of hashes.entries()) {
          const seq = batch.from + i
          if (wanted.has(seq)) wanted.set(seq, hash)
          if (entries[i]!.timeMs > latest(seq) + AHEAD_MS) verdict.ahead++
        }
      } catch {
        // the first record, and what was told above
      }
    }
    const newest = new Map<string, Verdict['witnesses'][number]>()
    for (const receipt of receipts) {
      const { witness: peer, seq, hash, timeMs, headSignature } = receipt
      // what it is about is not in the file
      if (seq < verdict.first) continue
      const isHashOnly = headSignature != null
      if (!right.has(receipt)) fault(`a receipt for entry ${seq} is not what ${peer} signed`)
      else if (seq > verdict.last)
        fault(`${peer} signed entry ${seq}: what comes after ${verdict.last} is cut off`)
      else if (Buffer.compare(wanted.get(seq)!, hash) !== 0)
        fault(`${peer} signed another entry ${seq} than there is: what comes up to it was replaced`)
      else if (seq >= (newest.get(peer)?.seq ?? 0)) newest.set(peer, { peer, seq, timeMs, isHashOnly })
    }
    verdict.witnesses.push(...newest.values())
  }
}

/** When an entry had been signed by a witness at the latest, ms since 1970. Pure. */
function latestBy(receipts: readonly Receipt[]): (seq: number) => number {
  const bounds: Pick<Receipt, 'seq' | 'timeMs'>[] = []
  // of those that come later in the chain only an earlier one says more
  for (const { seq, timeMs } of receipts.toSorted((a, b) => b.seq - a.seq))
    bounds.push({ seq, timeMs: Math.min(timeMs, bounds.at(-1)?.timeMs ?? timeMs) })
  // entries are asked for in order
  return seq => {
    while (bounds.length > 0 && bounds.at(-1)!.seq < seq) bounds.pop()
    return bounds.at(-1)?.timeMs ?? Number.POSITIVE_INFINITY
  }
}

/** Of which chain an export is. @throws {EntryError} it is none */
async function chainIn(path: string): Promise<ChainId> {
  const [magic, version, key, number] = decodeTuple(await firstRecord(path), 'the beginning of the file')
  if (magic !== MAGIC || version !== VERSION)
    throw new EntryError(`${path} is no export of a device log of version ${VERSION}`)
  return { agent: agentOf(key), number: count(number, 'the number of the chain') }
}

/** The receipts of another export of a chain. @throws {EntryError} it is of another one, or has none */
async function receiptsIn(path: string, chain: ChainId, fault: (what: string) => void): Promise<Receipt[]> {
  const { agent, number } = await chainIn(path)
  if (agent !== chain.agent || number !== chain.number)
    throw new EntryError(
      `${path} is of ${agent}, chain ${number}; not of ${chain.agent}, chain ${chain.number}`
    )
  const receipts: Receipt[] = []
  for await (const payload of readRecords(path, what => fault(`${path}: ${what}`)))
    if (isReceiptRecord(payload)) receipts.push(receiptIn(payload))
  if (receipts.length === 0) throw new EntryError(`${path} says nothing that a witness has signed`)
  return receipts
}

const isReceiptRecord = (payload: Uint8Array): boolean => {
  const [tag] = decodeTuple(payload, 'a record')
  return tag === RECEIPT || tag === HASH
}

function receiptIn(payload: Uint8Array): Receipt {
  const [tag, key, seq, hash, timeMs, signature, headSignature] = decodeTuple(payload, 'a receipt')
  return {
    witness: agentOf(key),
    seq: count(seq, 'the place of a receipt'),
    hash: hashIn(hash, 'the hash of a receipt'),
    timeMs: count(timeMs, 'the time of a receipt'),
    signature: signatureIn(signature),
    ...(tag === HASH ? { headSignature: signatureIn(headSignature) } : {})
  }
}

function signatureIn(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new EntryError('the signature of a receipt is no bytes')
  return value
}

/** @throws {EntryError} there is none */
async function firstRecord(path: string): Promise<Uint8Array> {
  for await (const payload of readRecords(path, () => undefined)) return payload
  throw new EntryError(`${path} is no export of a device log`)
}

/** Records of a file, in bounded memory; what is between right ones is told and left out. */
async function* readRecords(path: string, fault: (what: string) => void): AsyncGenerator<Uint8Array> {
  const file = await opened(path, 'r')
  try {
    let bytes = Buffer.alloc(0)
    let offset = 0
    let isEnd = false
    let isLost = false
    for (;;) {
      const payload = recordAt(bytes, 0)
      if (payload != null) {
        isLost = false
        yield payload.slice()
        bytes = bytes.subarray(HEADER_BYTES + payload.length)
        offset += HEADER_BYTES + payload.length
      } else if (!isEnd && bytes.length < MAX_RECORD_BYTES + HEADER_BYTES) {
        const chunk = Buffer.alloc(READ_BYTES)
        const { bytesRead } = await file.read(chunk, 0, READ_BYTES)
        isEnd = bytesRead === 0
        bytes = Buffer.concat([bytes, chunk.subarray(0, bytesRead)])
      } else if (bytes.length === 0) return
      else {
        if (!isLost) fault(`at byte ${offset} is something that was not written so`)
        isLost = true
        bytes = bytes.subarray(1)
        offset++
        // a search through much that is wrong leaves others their turn
        if (offset % TURN_BYTES === 0) await new Promise(setImmediate)
      }
    }
  } finally {
    await file.close()
  }
}

async function opened(path: string, flags: 'r' | 'wx') {
  try {
    return await open(path, flags, 0o600)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ExportPathError(
      flags === 'r'
        ? `cannot read ${path} (${code})`
        : `cannot write ${path} (${code}); name a file that is not there yet`
    )
  }
}
