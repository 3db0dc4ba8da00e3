/*
 * Single-decree Paxos: a slot is written once, by whoever comes first, and never again, whichever messages are lost,
 * doubled, late or out of order, and whoever crashes. Pure; who sends, signs and stores is elsewhere.
 */

/** Higher rounds win; of one round the higher name. */
export type Ballot = readonly [round: number, proposer: string]

export interface Acceptor {
  promised?: Ballot
  accepted?: { ballot: Ballot; value: Uint8Array }
}

export type Reply =
  | { is: 'promise'; accepted?: Acceptor['accepted'] }
  | { is: 'vote' }
  /** somebody was promised more */
  | { is: 'refused'; promised: Ballot }

const compare = (a: Ballot, b: Ballot): number => a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0)
const isBelow = (ballot: Ballot, promised: Ballot | undefined): promised is Ballot =>
  promised != null && compare(ballot, promised) < 0

/** What an acceptor answers to `prepare`, and what it must have on its disk before it does. */
export function prepare(state: Acceptor, ballot: Ballot): { state: Acceptor; reply: Reply } {
  if (isBelow(ballot, state.promised)) return { state, reply: { is: 'refused', promised: state.promised } }
  return { state: { ...state, promised: ballot }, reply: { is: 'promise', accepted: state.accepted } }
}

/** The same for `accept`. */
export function accept(
  state: Acceptor,
  ballot: Ballot,
  value: Uint8Array
): { state: Acceptor; reply: Reply } {
  if (isBelow(ballot, state.promised)) return { state, reply: { is: 'refused', promised: state.promised } }
  return { state: { promised: ballot, accepted: { ballot, value } }, reply: { is: 'vote' } }
}

export const majorityOf = (acceptors: number): number => Math.floor(acceptors / 2) + 1

/** One try of one proposer. */
export interface Proposal {
  ballot: Ballot
  needed: number
  is: 'preparing' | 'accepting' | 'decided' | 'empty' | 'lost'
  /** what is to be, or has been, accepted */
  value?: Uint8Array
  promises: ReadonlyMap<string, Acceptor['accepted']>
  votes: ReadonlySet<string>
  /** the highest round that was heard of */
  round: number
}

/** `value`: what its proposer wants; without, he only wants to know what was decided. */
export const propose = (ballot: Ballot, acceptors: number, value?: Uint8Array): Proposal => ({
  ballot,
  needed: majorityOf(acceptors),
  is: 'preparing',
  ...(value == null ? {} : { value }),
  promises: new Map(),
  votes: new Set(),
  round: ballot[0]
})

/** Takes an answer to the message of its phase; those of an earlier phase are not passed in. */
export function hear(proposal: Proposal, from: string, reply: Reply): Proposal {
  if (reply.is === 'refused')
    return { ...proposal, is: 'lost', round: Math.max(proposal.round, reply.promised[0]) }
  if (proposal.is === 'preparing' && reply.is === 'promise') {
    const promises = new Map(proposal.promises).set(from, reply.accepted)
    if (promises.size < proposal.needed) return { ...proposal, promises }
    const newest = [...promises.values()]
      .filter(each => each != null)
      .sort((a, b) => compare(b.ballot, a.ballot))[0]
    const value = newest?.value ?? proposal.value
    return value == null
      ? { ...proposal, promises, is: 'empty' }
      : { ...proposal, promises, value, is: 'accepting' }
  }
  if (proposal.is === 'accepting' && reply.is === 'vote') {
    const votes = new Set(proposal.votes).add(from)
    return { ...proposal, votes, is: votes.size < proposal.needed ? 'accepting' : 'decided' }
  }
  return proposal
}
