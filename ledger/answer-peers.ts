import type { Connection } from '@libp2p/interface'
import { answerToTuple } from './certify/certifier.ts'
import { CHAIN_LIMIT, segmentsFrom } from './certify/recovery.ts'
import type { Speakers } from './certify/speakers.ts'
import type { Witness } from './certify/witness.ts'
import { MalformedError } from './errors.ts'
import { bytesOf, integer, list, text } from './records/codec.ts'
import type { LedgerNetwork } from './records/network.ts'
import { decodeSegment, isSigned, MAX_SEGMENT_BYTES } from './records/segment.ts'
import type { Epochs } from './replicate/epochs.ts'
import type { Intake } from './replicate/intake.ts'
import { itemsFrom, type Replica } from './replicate/replica.ts'
import { type Item, SEGMENT_ITEM, type Store } from './store/store.ts'

export interface AnswerPeersInit {
  network: LedgerNetwork
  store: Store
  intake: Intake
  /** only on a witness */
  witness: Witness | undefined
  /** Waits until this node may vote. Throws when it may not any more. */
  mayVote(): Promise<void>
  speakers(): Speakers
  replica(): Replica
  epochs(): Epochs
}

/** Answers to what peers ask (README, "Fields"). A throw ends the stream of whoever asked. */
export function answerPeers(init: AnswerPeersInit) {
  const { network, store, intake, witness, mayVote, speakers, replica, epochs } = init
  return async (
    peer: string,
    method: string,
    body: unknown,
    connection: Connection | undefined
  ): Promise<unknown> => {
    switch (method) {
      case 'vote': {
        const tuple = list(body, 'a request', 2)
        const known = segmentsFrom(tuple[0]).map((bytes): Item => [SEGMENT_ITEM, bytes])
        const segment = decodeSegment(bytesOf(tuple[1], 'segment', 1, MAX_SEGMENT_BYTES), network)
        if (witness == null) throw new MalformedError('this node is not a witness')
        if (!isSigned(segment)) throw new MalformedError(`a run of ${segment.account} is not signed by it`)
        await mayVote()
        intake.take(known, false)
        return answerToTuple(await witness.vote(segment))
      }
      case 'items':
        intake.take(itemsFrom(body), false)
        return []
      case 'chain': {
        const tuple = list(body, 'a request', 2)
        const account = text(tuple[0], 'account', 64)
        const from = integer(tuple[1], 'seq', 0, Number.MAX_SAFE_INTEGER)
        return [replica().epoch, store.segmentsOf(account, from, CHAIN_LIMIT), store.voted(account) ?? null]
      }
      case 'speak':
        return speakers().serveSpeak(body, connection)
      case 'present':
        return speakers().servePresent(body)
      case 'sync':
        return replica().serveSync(peer, body)
      case 'propose':
        return epochs().servePropose(peer, body)
      case 'checkpoint':
        return epochs().serveCheckpoint(body)
      default:
        throw new MalformedError(`unknown method ${method}`)
    }
  }
}
