import { randomBytes } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import { KeyInUseError } from '../errors.ts'
import { bytesOf, integer, list, toBytes } from '../records/codec.ts'
import {
  accountOf,
  isEqual,
  isSignedBy,
  KEY_BYTES,
  keyOf,
  SIGNATURE_BYTES,
  type Signer
} from '../records/keys.ts'
import type { LedgerNetwork } from '../records/network.ts'
import type { AccountId } from '../records/types.ts'

const INSTANCE_BYTES = 16
const NONCE_BYTES = 32
const ANSWER_TIMEOUT_MS = 3_000
const SPEAK_DOMAIN = 'artel/ledger/speak/1'
const PRESENT_DOMAIN = 'artel/ledger/present/1'

export interface SpeakersComponents {
  signer: Signer
  request(peer: string, method: string, body: unknown, options: { signal: AbortSignal }): Promise<unknown>
  /** Asks whoever is at the other end of this very connection: two processes may have one peer id. */
  requestOn(
    connection: Connection,
    method: string,
    body: unknown,
    options: { signal: AbortSignal }
  ): Promise<unknown>
  /** Somebody proved that another, younger process has this account's key: a copy of the data folder was started. */
  onOther(): void
}

/**
 * One process speaks for an account. A copy of a data folder has the key, and would sign other orders with the numbers
 * that the first one uses, which freezes the account. So every process tells each peer that it meets that it speaks for
 * the account; a peer that has another one on the line asks it, and passes its answer on. The answer is signed over a
 * fresh number, so that nobody can invent the other, and a process that has ended gives none. The younger one yields.
 */
export interface Speakers {
  /** Introduces this process to a peer. @throws {KeyInUseError} an older process speaks for the account */
  introduce(peer: string, options: { signal: AbortSignal }): Promise<void>
  /** Answers who introduces itself: with nothing, or with the word of another process for the same account. */
  serveSpeak(body: unknown, connection: Connection | undefined): Promise<unknown>
  /** Answers whoever wants to know whether this process is there. */
  servePresent(body: unknown): unknown
}

interface Speaker {
  account: AccountId
  instance: Uint8Array
  connection: Connection
}

/** `peer`: what others introduce themselves to, the peer id of this node. */
export const createSpeakers =
  ({ network, peer: self }: { network: LedgerNetwork; peer: string }) =>
  ({ signer, request, requestOn, onOther }: SpeakersComponents): Speakers => {
    const { account } = signer
    const instance = randomBytes(INSTANCE_BYTES)
    const startedAt = performance.now()
    /** by connection, so that there are no more than connections */
    const known = new Map<string, Speaker>()

    const uptimeMs = (): number => Math.floor(performance.now() - startedAt)
    const introduction = (peer: string, own: Uint8Array, nonce: Uint8Array): Uint8Array =>
      toBytes([network.id, peer, own, nonce])
    const presence = (nonce: Uint8Array, own: Uint8Array, uptime: number): Uint8Array =>
      toBytes([network.id, nonce, own, uptime])

    /** The word of another process for the account, if there is one that answers. */
    const otherThan = async (
      speaker: Speaker,
      nonce: Uint8Array
    ): Promise<[Uint8Array, number, Uint8Array] | undefined> => {
      for (const [id, { account: theirs, instance: other, connection }] of known) {
        if (connection.status !== 'open') known.delete(id)
        else if (theirs === speaker.account && !isEqual(other, speaker.instance)) {
          try {
            const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS)
            return presenceFrom(await requestOn(connection, 'present', [nonce], { signal }))
          } catch {
            // it does not speak any more, which is the answer
            known.delete(id)
          }
        }
      }
      return undefined
    }

    return {
      introduce: async (peer, options) => {
        const nonce = randomBytes(NONCE_BYTES)
        const signature = signer.sign(SPEAK_DOMAIN, introduction(peer, instance, nonce))
        const answer = list(
          await request(peer, 'speak', [keyOf(account), instance, nonce, signature], options),
          'an answer',
          0,
          3
        )
        if (answer.length === 0) return
        const [other, uptime, word] = presenceFrom(answer)
        // who lies about another has no signature of it
        if (
          isEqual(other, instance) ||
          !isSignedBy(account, PRESENT_DOMAIN, presence(nonce, other, uptime), word)
        )
          return
        const mine = uptimeMs()
        const isOlder = uptime > mine || (uptime === mine && Buffer.compare(other, instance) > 0)
        if (isOlder) throw new KeyInUseError(account)
        onOther()
      },
      serveSpeak: async (body, connection) => {
        const tuple = list(body, 'an introduction', 4)
        const theirs = accountOf(bytesOf(tuple[0], 'account', KEY_BYTES))
        const other = bytesOf(tuple[1], 'instance', INSTANCE_BYTES)
        const nonce = bytesOf(tuple[2], 'nonce', NONCE_BYTES)
        const signature = bytesOf(tuple[3], 'signature', SIGNATURE_BYTES)
        if (
          connection == null ||
          !isSignedBy(theirs, SPEAK_DOMAIN, introduction(self, other, nonce), signature)
        )
          return []
        const speaker = { account: theirs, instance: other, connection }
        const word = await otherThan(speaker, nonce)
        // the first one stays the one that is asked
        if (word == null) known.set(connection.id, speaker)
        return word ?? []
      },
      servePresent: body => {
        const nonce = bytesOf(list(body, 'a question', 1)[0], 'nonce', NONCE_BYTES)
        const uptime = uptimeMs()
        return [instance, uptime, signer.sign(PRESENT_DOMAIN, presence(nonce, instance, uptime))]
      }
    }
  }

function presenceFrom(value: unknown): [instance: Uint8Array, uptimeMs: number, signature: Uint8Array] {
  const tuple = list(value, 'a presence', 3)
  return [
    bytesOf(tuple[0], 'instance', INSTANCE_BYTES),
    integer(tuple[1], 'uptime', 0, Number.MAX_SAFE_INTEGER),
    bytesOf(tuple[2], 'signature', SIGNATURE_BYTES)
  ]
}
