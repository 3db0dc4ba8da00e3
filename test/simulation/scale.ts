import { costOf, draw, hasRoom, mayServe, rank, TARGET_SLICE_MS } from '../../scheduler/market/match.ts'
import {
  createOfferBook,
  createRelay,
  encodeOffer,
  type OfferBook
} from '../../scheduler/market/offer-book.ts'
import { createSchedule } from '../../scheduler/market/offer-gossip.ts'
import type { OfferFields } from '../../scheduler/protocol/compute-messages.ts'
import { createRandom, type Random } from './random.ts'

/**
 * Networks of many nodes with the real code of offers and placement on a virtual clock: every node lends two slots,
 * one in a hundred has work for more workers than it may link. Modelled: who is connected with whom (at random),
 * gossipsub (a publisher tells all its connections; who passes on tells its mesh at once and advertises to others),
 * and the time that a dial takes. Not modelled: lost messages, and nodes that come and go.
 */

const SLOTS = 2
// Each node opens this many connections, and so has twice as many on average.
const MESH_OPENED = 3
const OTHER_OPENED = 7
// gossipsub's Dlazy: peers that a message is advertised to.
const LAZY = 6
// A gossip message beside its data: author 40, sequence number 10, topic 74, key 38, signature 66, frames.
const ENVELOPE_BYTES = 240
const MESSAGE_ID_BYTES = 46
// Longer than an offer is believed, so that the books are as they stay.
const WARM_UP_S = 32
// Jobs come at random moments of the first half of this time, and stay.
const PLACE_S = 20
// Relays of a running network know how much they hear.
const PRIMING = 150
const REQUESTERS = 0.01
// As scheduler/streams/worker-links.ts.
const MAX_LINKS = 128
const MAX_DIALS = 8
const DIAL_MS = 150
const STEP_MS = 150
// What is placed at once: more than the workers that a node is connected with can take.
const JOB_SLICES = 256
const START = 1_800_000_000_000

interface Row {
  nodes: number
  'messages / node·s': number
  'bytes / node·s': number
  'busiest node, messages / s': number
  'offers known': number
  'place p50 ms': number
  'place p99 ms': number
  'idle workers %': number
  'most requesters / worker': number
}

interface Requester {
  id: number
  book: OfferBook
  startsAt: number
  linked: Set<number>
  workers: { id: number; outstanding: number; cost: number }[]
  left: number
  placedMs: number
}

/** Neighbours of every node, by random choice of `opened` each, as one list with offsets. */
function connect(nodes: number, opened: number, random: Random): { at: Int32Array; peers: Int32Array } {
  const from = new Int32Array(nodes * opened)
  const to = new Int32Array(nodes * opened)
  const at = new Int32Array(nodes + 1)
  for (let i = 0; i < from.length; i++) {
    from[i] = Math.floor(i / opened)
    do to[i] = Math.floor(random() * nodes)
    while (to[i] === from[i])
    at[from[i]! + 1]!++
    at[to[i]! + 1]!++
  }
  for (let i = 0; i < nodes; i++) at[i + 1]! += at[i]!
  const next = at.slice()
  const peers = new Int32Array(2 * from.length)
  for (let i = 0; i < from.length; i++) {
    peers[next[from[i]!]!++] = to[i]!
    peers[next[to[i]!]!++] = from[i]!
  }
  return { at, peers }
}

export function simulate(nodes: number, seed: number): Row {
  const random = createRandom(seed)
  const mesh = connect(nodes, MESH_OPENED, random)
  const others = connect(nodes, OTHER_OPENED, random)
  const received = new Int32Array(nodes)
  const seenMessage = new Int32Array(nodes).fill(-1)
  const queue = new Int32Array(nodes)
  const source = new Int32Array(nodes)
  const users = new Uint8Array(nodes)
  const multipliers = Float64Array.from(
    { length: nodes },
    () => [0.8, 1, 1, 1, 1.5][Math.floor(random() * 5)]!
  )
  const startsAt = Float64Array.from({ length: nodes }, () => START + random() * 10_000)
  const schedules = Array.from({ length: nodes }, () => createSchedule(random))
  const relays = Array.from({ length: nodes }, () => createRelay(random))
  for (let i = 0; i < PRIMING; i++) for (const relay of relays) relay.take(START - (PRIMING - i) * 100)
  const requesters = new Map<number, Requester>()
  const isRequester = new Uint8Array(nodes)
  while (requesters.size < nodes * REQUESTERS) {
    const id = Math.floor(random() * nodes)
    const book = createOfferBook(String(id), random)
    const startsAt = (WARM_UP_S + (random() * PLACE_S) / 2) * 1000
    requesters.set(id, {
      id,
      book,
      startsAt,
      linked: new Set([id]),
      workers: [],
      left: JOB_SLICES,
      placedMs: Number.NaN
    })
    isRequester[id] = 1
  }
  let bytes = 0
  let message = 0

  const offerOf = (id: number): OfferFields => ({
    class: 'v8-13.6/x64',
    slots: SLOTS,
    free: users[id] === 0 ? SLOTS : 0,
    window: 64 * SLOTS,
    walled: true,
    ramMb: 512,
    multiplier: multipliers[id]!,
    minPriceMicro: 0,
    tags: []
  })

  function publish(author: number, now: number): void {
    const data = encodeOffer(offerOf(author), now)
    const size = data.length + ENVELOPE_BYTES
    message++
    seenMessage[author] = message
    let end = 0
    const deliver = (from: number, to: number): void => {
      received[to]!++
      bytes += size
      if (seenMessage[to] === message) return
      seenMessage[to] = message
      const isPassedOn =
        isRequester[to] === 0
          ? relays[to]!.take(now)
          : requesters.get(to)!.book.receive(String(author), data, now) === 'accept'
      if (!isPassedOn) return
      source[end] = from
      queue[end++] = to
    }
    for (const { at, peers } of [mesh, others])
      for (let i = at[author]!; i < at[author + 1]!; i++) deliver(author, peers[i]!)
    for (let next = 0; next < end; next++) {
      const node = queue[next]!
      for (let i = mesh.at[node]!; i < mesh.at[node + 1]!; i++)
        if (mesh.peers[i] !== source[next]) deliver(node, mesh.peers[i]!)
      const [first, last] = [others.at[node]!, others.at[node + 1]!]
      for (let i = 0; i < Math.min(LAZY, last - first); i++) {
        const peer = others.peers[first + Math.floor(random() * (last - first))]!
        bytes += MESSAGE_ID_BYTES
        if (seenMessage[peer] !== message) deliver(node, peer)
      }
    }
  }

  function link(requester: Requester, id: number): void {
    if (requester.linked.has(id) || requester.linked.size > MAX_LINKS) return
    requester.linked.add(id)
    requester.workers.push({ id, outstanding: 0, cost: costOf({ multiplier: multipliers[id]! }) })
    users[id]!++
  }

  /** Leases slices to the linked workers, the best first, and opens streams to more. */
  function work(requester: Requester, sinceMs: number, now: number): void {
    const candidates = requester.workers.map(worker => ({
      worker,
      slots: SLOTS,
      window: 64 * SLOTS,
      outstanding: worker.outstanding,
      outstandingMs: worker.outstanding * TARGET_SLICE_MS,
      cost: worker.cost
    }))
    let free = candidates.filter(hasRoom)
    while (requester.left > 0 && free.length > 0) {
      const best = free.reduce((least, each) => (rank(each) < rank(least) ? each : least))
      best.outstanding = ++best.worker.outstanding
      best.outstandingMs += TARGET_SLICE_MS
      if (--requester.left === 0) requester.placedMs = sinceMs
      if (!hasRoom(best)) free = free.filter(each => each !== best)
    }
    const most = MAX_LINKS + 1 - requester.linked.size
    if (most <= 0) return
    const offers = requester.book
      .fresh(now)
      .filter(
        offer => !requester.linked.has(Number(offer.peer)) && mayServe({ type: 'map', ramMb: 256 }, offer)
      )
      .map(({ peer, free, multiplier }) => ({ peer, free, cost: costOf({ multiplier }) }))
    const dials = Math.floor((MAX_DIALS * STEP_MS) / DIAL_MS)
    for (const { peer } of draw(offers, Math.min(most, dials), random)) link(requester, Number(peer))
  }

  for (let step = 0; step * STEP_MS < (WARM_UP_S + PLACE_S) * 1000; step++) {
    const sinceStart = step * STEP_MS
    const now = START + sinceStart
    // every node looks once per second, at its own moment
    for (let id = step % 7; id < nodes; id += 7)
      if (now >= startsAt[id]! && schedules[id]!.isDue(offerOf(id), now)) publish(id, now)
    for (const requester of requesters.values()) {
      const sinceMs = sinceStart - requester.startsAt
      if (sinceMs < 0) continue
      if (sinceMs < STEP_MS)
        for (const { at, peers } of [mesh, others])
          for (let i = at[requester.id]!; i < at[requester.id + 1]!; i++) link(requester, peers[i]!)
      work(requester, sinceMs, now)
    }
  }

  const seconds = WARM_UP_S + PLACE_S
  const all = [...requesters.values()]
  const placed = all.map(each => each.placedMs).sort((a, b) => a - b)
  const known = all.reduce((sum, each) => sum + each.book.size, 0) / all.length
  const idle = users.reduce((sum, count) => sum + (count === 0 ? 1 : 0), 0)
  const round = (value: number, digits = 0): number => Number(value.toFixed(digits))
  return {
    nodes,
    'messages / node·s': round(received.reduce((sum, count) => sum + count, 0) / nodes / seconds, 1),
    'bytes / node·s': round(bytes / nodes / seconds),
    'busiest node, messages / s': round(
      received.reduce((most, count) => Math.max(most, count), 0) / seconds,
      1
    ),
    'offers known': round(known),
    'place p50 ms': round(placed[placed.length >> 1]!),
    'place p99 ms': round(placed[Math.floor(placed.length * 0.99)]!),
    'idle workers %': round((idle / nodes) * 100, 1),
    'most requesters / worker': users.reduce((most, count) => Math.max(most, count), 0)
  }
}

/** Holds when traffic per node grows no faster than the logarithm of the number of nodes, and every job is placed. */
export async function run({
  nodes = [1000, 10_000, 100_000],
  seed = 1
}: {
  nodes?: number[]
  seed?: number
} = {}): Promise<{ ok: boolean; table: Row[] }> {
  const table = nodes.map(count => simulate(count, seed))
  const [first] = table
  const ok = table.every(row => {
    const growth = Math.log(row.nodes) / Math.log(first!.nodes)
    return (
      row['messages / node·s'] <= first!['messages / node·s'] * growth &&
      row['bytes / node·s'] <= first!['bytes / node·s'] * growth &&
      !Number.isNaN(row['place p99 ms'])
    )
  })
  return { ok, table }
}
