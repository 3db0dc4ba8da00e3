import type { Logger } from '@libp2p/interface'
import { KeyInUseError } from '../errors.ts'
import { bytesOf, integer, list } from '../records/codec.ts'
import { type LedgerNetwork, quorumOf } from '../records/network.ts'
import { decodeSegment, type HashedSegment, isSigned, MAX_SEGMENT_BYTES } from '../records/segment.ts'
import type { AccountId } from '../records/types.ts'
import { pause } from '../time.ts'

const REQUEST_TIMEOUT_MS = 5_000
const RETRY_MS = 200

/** Certified runs in one answer. */
export const CHAIN_LIMIT = 3

export interface RecoveryComponents {
  log: Logger
  request(peer: string, method: string, body: unknown, options: { signal: AbortSignal }): Promise<unknown>
  /** Tells a witness that this process speaks for the account. @throws {KeyInUseError} */
  introduce(witness: AccountId, options: { signal: AbortSignal }): Promise<void>
  /** Number of the account's first order without certificate, as known here. */
  position(): number
  epoch(): number
  fetchCheckpoint(peer: string): Promise<void>
  take(segments: Uint8Array[]): void
  /** Takes up a run that this key signed and that got a vote and no certificate. */
  adopt(run: HashedSegment): void
}

/**
 * What this key has signed before, in a data folder that is lost, older than what the witnesses know, or a copy:
 * signing without knowing would be signing twice.
 */
export interface Recovery {
  /** Learns from a quorum of witnesses. @throws {KeyInUseError} */
  run(signal: AbortSignal): Promise<void>
  /** Resolves when this witness told what it knows, since it was connected last. @throws {KeyInUseError} */
  heard(witness: AccountId, signal: AbortSignal): Promise<void>
  /** The connection has ended: another process may speak for the account before the next. */
  forget(peer: string): void
}

/** @throws {MalformedError} */
export const segmentsFrom = (value: unknown): Uint8Array[] =>
  list(value, 'segments', 0, CHAIN_LIMIT).map(item => bytesOf(item, 'segment', 1, MAX_SEGMENT_BYTES))

export const createRecovery =
  ({ network, account }: { network: LedgerNetwork; account: AccountId }) =>
  (components: RecoveryComponents): Recovery => {
    const { log, request, introduce, position, epoch, fetchCheckpoint, take, adopt } = components
    const hearing = new Map<string, Promise<void>>()
    let open: HashedSegment | undefined
    let isRecovered = false

    const adoptOpen = (): void => {
      if (open?.seq === position()) adopt(open)
      open = undefined
    }

    const ask = async (witness: AccountId, signal: AbortSignal): Promise<void> => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
      if (witness !== account) await introduce(witness, { signal: limit })
      for (let from = -1; from !== position(); ) {
        from = position()
        const each = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
        const answer = list(
          await request(witness, 'chain', [account, from], { signal: each }),
          'an answer',
          3
        )
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
      if (isRecovered) adoptOpen()
    }

    const heard = (witness: AccountId, signal: AbortSignal): Promise<void> => {
      let asking = hearing.get(witness)
      if (asking == null) {
        const begun = ask(witness, signal)
        begun.catch(() => {
          // whoever waits gets the error; the next one asks again
          if (hearing.get(witness) === begun) hearing.delete(witness)
        })
        hearing.set(witness, begun)
        asking = begun
      }
      return asking
    }

    return {
      heard,
      forget: peer => void hearing.delete(peer),
      run: async signal => {
        for (;;) {
          signal.throwIfAborted()
          const asked = await Promise.all(
            network.witnesses.map(witness =>
              heard(witness, signal).then(
                () => true,
                (error: Error) => {
                  if (error instanceof KeyInUseError) throw error
                  log('witness %s does not tell our orders: %s', witness, error.message)
                  return false
                }
              )
            )
          )
          if (asked.filter(Boolean).length >= quorumOf(network)) break
          await pause(RETRY_MS, signal)
        }
        adoptOpen()
        isRecovered = true
      }
    }
  }
