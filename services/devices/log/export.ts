import { open } from 'node:fs/promises'
import { encode } from '@ipld/dag-cbor'
import type { IsSigned } from '../context.ts'
import { isReceipt, type Receipt } from '../delivery/receipt.ts'
import { ChainError, EntryError, ExportPathError } from '../errors.ts'
import { decodeBatch, encodeBatch, follow, HEAD_DOMAIN, headBytes } from './batch.ts'
import type { ChainLog } from './chain-log.ts'
import { type ChainId, count, decodeTuple, type EntryClass, GENESIS, type Head, hashIn } from './entry.ts'
import { agentOf, keyOf } from './keys.ts'
import { frameRecord, HEADER_BYTES, MAX_RECORD_BYTES, recordAt } from './records.ts'

/*
 * One chain in a file, for a stick or an auditor: [magic, version, agent key, number], the batches in order, and what
 * witnesses signed: ['receipt', witness key, seq, hash, ms, signature]; each in a record.
 */
const MAGIC = 'artel device log'
const VERSION = 1
const RECEIPT = 'receipt'
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
  const file = await opened(path, 'wx')
  try {
    const { agent, number } = log.chain
    await file.write(frameRecord(encode([MAGIC, VERSION, keyOf(agent), number])))
    const { first } = log
    let at = first
    while (at <= log.head.seq) {
      signal.throwIfAborted()
      const batch = await log.read(at)
      if (batch == null)
        throw new ExportPathError(`entry ${at} of chain ${number} is missing here; export it elsewhere`)
      await file.write(frameRecord(encodeBatch(batch)))
      at += batch.entries.length
    }
    // of what was let go nothing can be checked any more
    for (const { witness, seq, hash, timeMs, signature } of receipts.filter(({ seq }) => seq >= first))
      await file.write(frameRecord(encode([RECEIPT, keyOf(witness), seq, hash, timeMs, signature])))
    await file.sync()
    return at - first
  } finally {
    await file.close()
  }
}

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
  /** up to which entry each witness has signed that it has the same */
  witnesses: { peer: string; seq: number; timeMs: number }[]
  faults: string[]
}

/**
 * Checks an exported chain with nothing but its file: every hash, every signature of the agent and of witnesses.
 *
 * @throws {ExportPathError} it cannot be read
 * @throws {EntryError} it is no export
 */
export async function verifyExport(path: string, isSigned: IsSigned): Promise<Verdict> {
  const faults: string[] = []
  const fault = (what: string): void => void (faults.length < MAX_FAULTS && faults.push(what))
  const [magic, version, key, number] = decodeTuple(await firstRecord(path), 'the beginning of the file')
  if (magic !== MAGIC || version !== VERSION)
    throw new EntryError(`${path} is no export of a device log of version ${VERSION}`)
  const chain: ChainId = { agent: agentOf(key), number: count(number, 'the number of the chain') }
  const verdict: Verdict = {
    isRight: false,
    ...chain,
    fleet: '',
    first: -1,
    last: -1,
    entries: { account: 0, event: 0, sample: 0 },
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

  /** A second walk, for the hashes that receipts name. */
  async function checkReceipts(): Promise<void> {
    const wanted = new Map(receipts.map(({ seq }) => [seq, GENESIS.hash]))
    for await (const payload of readRecords(path, () => undefined)) {
      try {
        if (isReceiptRecord(payload)) continue
        const batch = decodeBatch(payload)
        const { hashes } = follow(chain, undefined, batch)
        for (const [i, hash] of hashes.entries())
          if (wanted.has(batch.from + i)) wanted.set(batch.from + i, hash)
      } catch {
        // the first record, and what was told above
      }
    }
    for (const receipt of receipts) {
      const { witness, seq, hash, timeMs } = receipt
      // what it is about is not in the file
      if (seq < verdict.first) continue
      if (!isReceipt(chain, receipt, isSigned))
        fault(`a receipt for entry ${seq} is not what ${witness} signed`)
      else if (seq > verdict.last)
        fault(`${witness} signed entry ${seq}: what comes after ${verdict.last} is cut off`)
      else if (Buffer.compare(wanted.get(seq)!, hash) !== 0)
        fault(`${witness} signed another entry ${seq} than there is: what comes up to it was replaced`)
      else verdict.witnesses.push({ peer: witness, seq, timeMs })
    }
  }
}

const isReceiptRecord = (payload: Uint8Array): boolean => {
  const [tag] = decodeTuple(payload, 'a record')
  return tag === RECEIPT
}

function receiptIn(payload: Uint8Array): Receipt {
  const [, key, seq, hash, timeMs, signature] = decodeTuple(payload, 'a receipt')
  if (!(signature instanceof Uint8Array)) throw new EntryError('the signature of a receipt is no bytes')
  return {
    witness: agentOf(key),
    seq: count(seq, 'the place of a receipt'),
    hash: hashIn(hash, 'the hash of a receipt'),
    timeMs: count(timeMs, 'the time of a receipt'),
    signature
  }
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
