import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { hashOf, pack } from '../core/codec.ts'
import { type Ballot, hear, majorityOf, type Proposal, propose, type Reply } from '../core/paxos.ts'
import { NoMajorityError } from '../errors.ts'
import type { Decision } from '../messages.ts'

/* Drives a slot to its decision, over the network. */

const MAX_TRIES = 12
const FIRST_PAUSE_MS = 50

/** A place of the roster, or what `key` of a group names; the mailboxes of position `at` of the roster decide. */
export interface Slot {
  key?: Uint8Array
  at: number
}

export const slotId = (school: Uint8Array, { key, at }: Slot): Uint8Array =>
  hashOf(pack(['slot', school, at, key ?? null]))
/** What an acceptor signs. */
export const voteFor = (slot: Uint8Array, ballot: Ballot, value: Uint8Array): Uint8Array =>
  pack([slot, ballot, hashOf(value)])

export type IsSigned = (peer: string, domain: string, bytes: Uint8Array, signature: Uint8Array) => boolean
export type Answer = Exclude<Reply, { is: 'vote' }> | { is: 'vote'; signature: Uint8Array }

export interface Acceptors {
  peers: readonly string[]
  prepare(peer: string, ballot: Ballot): Promise<Answer>
  accept(peer: string, ballot: Ballot, value: Uint8Array): Promise<Answer>
}

export interface Decided {
  value: Uint8Array
  decision: Decision
}

/**
 * What a slot holds, with the votes that anybody can check. `value` goes in where nothing was there; without, undefined
 * says that nothing is.
 *
 * @throws {NoMajorityError} too few mailboxes answer, or others were faster again and again
 */
export async function decide(
  id: Uint8Array,
  acceptors: Acceptors,
  isSigned: IsSigned,
  signal: AbortSignal,
  value?: Uint8Array
): Promise<Decided | undefined> {
  let round = 1
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    signal.throwIfAborted()
    // a name of its own: a ballot is never used twice
    const ballot: Ballot = [round, randomBytes(12).toString('hex')]
    const votes = new Map<string, Uint8Array>()
    const begun = propose(ballot, acceptors.peers.length, value)
    let proposal = await gather(begun, acceptors.peers, peer => acceptors.prepare(peer, ballot))
    if (proposal.is === 'preparing') throw tooFew(proposal, acceptors.peers)
    if (proposal.is === 'empty') return undefined
    if (proposal.is === 'accepting') {
      const wanted = proposal.value!
      proposal = await gather(proposal, acceptors.peers, async peer => {
        const answer = await acceptors.accept(peer, ballot, wanted)
        if (answer.is !== 'vote') return answer
        if (!isSigned(peer, 'vote', voteFor(id, ballot, wanted), answer.signature))
          throw new NoMajorityError(`${peer} did not sign its vote`)
        votes.set(peer, answer.signature)
        return answer
      })
      if (proposal.is === 'decided')
        return { value: wanted, decision: { ballot: [...ballot], votes: [...votes] } }
    }
    round = proposal.round + 1
    await delay(Math.random() * FIRST_PAUSE_MS * 2 ** Math.min(tries, 6), undefined, { signal })
  }
  throw new NoMajorityError(`others decided at the same time, ${MAX_TRIES} times; try again`)
}

/** Whether these votes are a majority of the acceptors for this value. */
export function isDecided(
  id: Uint8Array,
  acceptors: readonly string[],
  { value, decision: { ballot, votes } }: Decided,
  isSigned: IsSigned
): boolean {
  const vote = voteFor(id, ballot, value)
  const right = votes.filter(
    ([peer, signature]) => acceptors.includes(peer) && isSigned(peer, 'vote', vote, signature)
  )
  return new Set(right.map(([peer]) => peer)).size >= majorityOf(acceptors.length)
}

/** Asks all at once; done when the phase is over, or nobody is left to answer. */
function gather(
  begun: Proposal,
  peers: readonly string[],
  ask: (peer: string) => Promise<Answer>
): Promise<Proposal> {
  const { promise, resolve } = Promise.withResolvers<Proposal>()
  let proposal = begun
  let left = peers.length
  const heard = (peer: string, answer?: Answer): void => {
    if (answer != null && proposal.is === begun.is) proposal = hear(proposal, peer, answer)
    left--
    if (proposal.is !== begun.is || left === 0) resolve(proposal)
  }
  for (const peer of peers)
    ask(peer).then(
      answer => heard(peer, answer),
      // who does not answer does not count
      () => heard(peer)
    )
  return promise
}

const tooFew = ({ promises, needed }: Proposal, peers: readonly string[]): NoMajorityError =>
  new NoMajorityError(
    `${promises.size} of ${peers.length} mailboxes answer, ${needed} are needed to change who is in; it can be tried again when they are back`
  )
