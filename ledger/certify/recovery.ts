import type { Logger } from '@libp2p/interface'
import { bytesOf, integer, list } from '../records/codec.ts'
import { type LedgerNetwork, quorumOf } from '../records/network.ts'
import { decodeSegment, type HashedSegment, isSigned, MAX_SEGMENT_BYTES } from '../records/segment.ts'
import type { AccountId } from '../records/types.ts'
import { pause } from '../time.ts'

const REQUEST_TIMEOUT_MS = 5_000
const RETRY_MS = 200

/** Certified runs in one answer. */
export const CHAIN_LIMIT = 3

export interface RecoveryInit {
  network: LedgerNetwork
  account: AccountId
  log: Logger
  request(peer: string, method: string, body: unknown, options: { signal: AbortSignal }): Promise<unknown>
  /** Number of the account's first order without certificate, as known here. */
  position(): number
  epoch(): number
  fetchCheckpoint(peer: string): Promise<void>
  take(segments: Uint8Array[]): void
}

/** @throws {MalformedError} */
export const segmentsFrom = (value: unknown): Uint8Array[] =>
  list(value, 'segments', 0, CHAIN_LIMIT).map(item => bytesOf(item, 'segment', 1, MAX_SEGMENT_BYTES))

/**
 * Learns from a quorum of witnesses what this key has signed before, in a data folder that is lost; signing without
 * would be signing twice. Gives the run that they voted for and that has no certificate yet, if there is one.
 */
export async function recoverChain(
  init: RecoveryInit,
  signal: AbortSignal
): Promise<HashedSegment | undefined> {
  const { network, account, log, request, position, epoch, fetchCheckpoint, take } = init
  const asked = new Set<AccountId>()
  let open: HashedSegment | undefined

  const ask = async (witness: AccountId): Promise<void> => {
    for (let from = -1; from !== position(); ) {
      from = position()
      const limit = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
      const answer = list(await request(witness, 'chain', [account, from], { signal: limit }), 'an answer', 3)
      if (integer(answer[0], 'epoch', 0, Number.MAX_SAFE_INTEGER) > epoch()) {
        await fetchCheckpoint(witness)
        from = -1
      }
      take(segmentsFrom(answer[1]))
      if (answer[2] == null) continue
      const run = decodeSegment(bytesOf(answer[2], 'run', 1, MAX_SEGMENT_BYTES), network)
      const isLonger = run.orders.length > (open?.orders.length ?? 0) || run.seq > (open?.seq ?? -1)
      if (run.account === account && isSigned(run) && isLonger) open = run
    }
    asked.add(witness)
  }

  while (asked.size < quorumOf(network)) {
    signal.throwIfAborted()
    await Promise.all(
      network.witnesses
        .filter(witness => !asked.has(witness))
        .map(witness =>
          ask(witness).catch(error => log('witness %s does not tell our orders: %s', witness, error.message))
        )
    )
    if (asked.size < quorumOf(network)) await pause(RETRY_MS, signal)
  }
  return open?.seq === position() ? open : undefined
}
