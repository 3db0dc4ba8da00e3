import { type Book, createBook } from '../../ledger/book/book.ts'
import { createWitness, type Witness } from '../../ledger/certify/witness.ts'
import { areConflicting, encodeForkProof, verifyForkProof } from '../../ledger/records/fork.ts'
import type { Signer } from '../../ledger/records/keys.ts'
import { type LedgerNetwork, quorumOf } from '../../ledger/records/network.ts'
import { type Body, GENESIS_HASH } from '../../ledger/records/order.ts'
import {
  encodeSegment,
  type HashedSegment,
  isCertified,
  lastSeq,
  ORDER_DOMAIN,
  tipOf,
  VOTE_DOMAIN,
  type Vote,
  withHashes
} from '../../ledger/records/segment.ts'
import { openStore, type Store } from '../../ledger/store/store.ts'
import { signerFrom } from '../ledger/helpers.ts'
import { randomOf } from './ledger-histories.ts'

const WITNESSES = 4
const STEPS = 60

/** Keys are dear to make and the same in every seed. */
const signers: Signer[] = Array.from({ length: WITNESSES + 2 }, (_, i) =>
  signerFrom(`ledger simulation ${i}`)
)

interface Node {
  store: Store
  book: Book
  witness: Witness
  isUp: boolean
  isCut: boolean
}

interface Message {
  to: number
  segment: HashedSegment
  isCertificate: boolean
}

/**
 * Four witnesses, of which the last is bad (it votes for everything), an honest account and one that signs several
 * chains. Messages are lost, doubled, delayed and reordered, witnesses crash and are cut off. Gives what went wrong.
 */
export async function checkWitnesses(seed: number): Promise<string | undefined> {
  const random = randomOf(seed)
  const network: LedgerNetwork = {
    id: `sim-${seed}`,
    witnesses: signers.slice(0, WITNESSES).map(({ account }) => account),
    grantMicro: 1_000n,
    grantBits: 0
  }
  const [honest, cheat] = [signers[WITNESSES]!, signers[WITNESSES + 1]!]
  const proofs: Uint8Array[] = []
  const boot = (store: Store): Omit<Node, 'isUp' | 'isCut' | 'store'> => {
    const book = createBook(network)
    for (const segment of certified) if (stored.get(store)?.has(segment) === true) book.add(segment)
    const onConflict = (a: HashedSegment, b: HashedSegment): void => {
      proofs.push(encodeForkProof(a, b))
      book.freeze(a.account)
    }
    return {
      book,
      witness: createWitness({ network })({
        signer: signers[stores.indexOf(store)]!,
        store,
        book,
        onConflict
      })
    }
  }
  const certified: HashedSegment[] = []
  const stored = new Map<Store, Set<HashedSegment>>()
  const stores = Array.from({ length: WITNESSES }, () => openStore())
  const nodes: Node[] = stores.map(store => {
    stored.set(store, new Set())
    return { store, ...boot(store), isUp: true, isCut: false }
  })

  const sign = (signer: Signer, seq: number, prev: Uint8Array, orders: Body[]): HashedSegment => {
    const run = withHashes(network, {
      account: signer.account,
      seq,
      prev,
      orders,
      signature: new Uint8Array(64),
      votes: []
    })
    return { ...run, signature: signer.sign(ORDER_DOMAIN, tipOf(run)) }
  }
  const body = (): Body => {
    const to = random.int(2) === 0 ? honest.account : cheat.account
    return {
      type: 'transfer',
      timeS: 0,
      to,
      amount: BigInt(1 + random.int(50)),
      memo: String(random.int(1000))
    }
  }

  const votes = new Map<HashedSegment, Map<number, Uint8Array>>()
  const inFlight: Message[] = []
  const send = (segment: HashedSegment, isCertificate = false): void => {
    for (let to = 0; to < WITNESSES; to++) inFlight.push({ to, segment, isCertificate })
  }
  const count = (run: HashedSegment, witness: number, signature: Uint8Array): void => {
    const got = votes.get(run) ?? new Map<number, Uint8Array>()
    votes.set(run, got)
    got.set(witness, signature)
    if (got.size < quorumOf(network) || certified.some(known => tipOf(known) === tipOf(run))) return
    const list: Vote[] = [...got].map(([witness, signature]) => ({ witness, signature }))
    const segment = { ...run, votes: list.sort((a, b) => a.witness - b.witness) }
    if (!isCertified(segment, network)) throw new Error('a certificate of good votes is not valid')
    certified.push(segment)
    send(segment, true)
  }

  const deliver = async ({ to, segment, isCertificate }: Message): Promise<void> => {
    const node = nodes[to]!
    if (!node.isUp || node.isCut) return
    const isBad = to === WITNESSES - 1
    if (isCertificate) {
      if (stored.get(node.store)!.has(segment)) return
      stored.get(node.store)!.add(segment)
      const row = {
        account: segment.account,
        first: segment.seq,
        last: lastSeq(segment),
        added: 0,
        mine: false
      }
      node.store.putSegment({ ...row, bytes: encodeSegment(segment) }, false)
      node.book.add(segment)
      node.store.dropVotes(segment.account, node.book.account(segment.account).seq)
      return
    }
    if (isBad) return count(segment, to, signers[to]!.sign(VOTE_DOMAIN, tipOf(segment)))
    const answer = await node.witness.vote(segment)
    // the answer may be lost, the vote stays on disk
    if ('vote' in answer && random.int(8) > 0) count(segment, to, answer.vote)
  }

  const mine: { signer: Signer; tips: { seq: number; prev: Uint8Array }[]; isHonest: boolean }[] = [
    { signer: honest, tips: [{ seq: 0, prev: GENESIS_HASH }], isHonest: true },
    { signer: cheat, tips: [{ seq: 0, prev: GENESIS_HASH }], isHonest: false }
  ]
  const pending = new Map<Signer, HashedSegment>()

  /** An honest account waits for its certificate; the other goes on from any point of its past, in any direction. */
  const act = ({ signer, tips, isHonest }: (typeof mine)[number]): void => {
    const open = pending.get(signer)
    const done = open != null && certified.find(known => tipOf(known) === tipOf(open))
    if (isHonest && open != null && !done) {
      send(open)
      return
    }
    const tip = isHonest ? tips.at(-1)! : tips[random.int(tips.length)]!
    const orders = tip.seq === 0 ? [grant] : Array.from({ length: 1 + random.int(3) }, body)
    const run = sign(signer, tip.seq, tip.prev, orders)
    tips.push({ seq: lastSeq(run) + 1, prev: tipOf(run) })
    pending.set(signer, run)
    send(run)
  }
  const grant: Body = { type: 'grant', timeS: 0, amount: 1_000n, nonce: 0 }

  try {
    for (let step = 0; step < STEPS; step++) {
      const event = random.int(20)
      const node = nodes[random.int(WITNESSES)]!
      if (event < 2) act(mine[0]!)
      else if (event < 5) act(mine[1]!)
      else if (event === 5) node.isCut = !node.isCut
      else if (event === 6) {
        // crash and restart: what is on disk is what it knows
        node.isUp = false
        Object.assign(node, boot(node.store), { isUp: true })
      } else {
        const at = random.int(inFlight.length)
        const [message] = random.int(10) === 0 ? inFlight.slice(at, at + 1) : inFlight.splice(at, 1)
        if (message != null && random.int(6) > 0) await deliver(message)
      }
    }
    // the network heals: everything honest must get through
    for (const node of nodes) node.isCut = false
    for (let round = 0; round < 3; round++) {
      const open = pending.get(honest)
      for (const segment of certified) send(segment, true)
      if (open != null && !certified.some(known => tipOf(known) === tipOf(open))) send(open)
      for (const message of random.shuffle(inFlight.splice(0))) await deliver(message)
    }
    return verdict(certified, proofs, network, honest, pending.get(honest))
  } finally {
    for (const store of stores) store.close()
  }
}

function verdict(
  certified: HashedSegment[],
  proofs: Uint8Array[],
  network: LedgerNetwork,
  honest: Signer,
  last: HashedSegment | undefined
): string | undefined {
  for (const [i, a] of certified.entries())
    for (const b of certified.slice(i + 1))
      if (a.account === b.account && areConflicting(a, b)) return `two certificates of ${a.account} conflict`
  for (const proof of proofs)
    if (verifyForkProof(proof, network) === honest.account) return 'the honest account was convicted'
  if (last != null && !certified.some(known => tipOf(known) === tipOf(last)))
    return 'an order of the honest account was not certified'
  const books = [certified, [...certified].reverse()].map(segments => {
    const book = createBook(network)
    for (const segment of segments) book.add(segment)
    return book
  })
  const texts = books.map(book =>
    [...book.balances()]
      .map(([account, { available, reserved }]) => `${account} ${available} ${reserved}`)
      .sort()
      .join()
  )
  if (texts[0] !== texts[1]) return 'the order of arrival changed the balances'
  const { total, granted, burnt } = books[0]!.supply()
  return total === granted - burnt ? undefined : 'credits appeared or vanished'
}
