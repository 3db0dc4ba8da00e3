import {
  type Acceptor,
  accept,
  type Ballot,
  hear,
  type Proposal,
  prepare,
  propose,
  type Reply
} from '../../services/messenger/core/paxos.ts'
import { createRandom, type Random } from './random.ts'

/* Slots that are written once, under lost, doubled, late and reordered messages and crashes of everybody. */

const SCHEDULES = 500
const STEPS = 150
const SIZES = [1, 3, 5]
const PROPOSERS = 3

type Message = { to: number; proposer: number; ballot: Ballot; reply?: Reply; from?: number } & (
  | { is: 'prepare' }
  | { is: 'accept'; value: Uint8Array }
)

export interface Schedule {
  acceptors: number
  crashes: number
  lost: number
  tries: number
  /** of all proposers, each time somebody saw a value decided */
  decided: string[]
  problem?: string
}

/** One schedule; at the end the network heals and a proposer goes on until it knows. */
export function runSchedule(random: Random): Schedule {
  const pick = (count: number): number => Math.floor(random() * count)
  const size = SIZES[pick(SIZES.length)]!
  const disks: Acceptor[] = Array.from({ length: size }, () => ({}))
  const up = disks.map(() => true)
  const running = new Map<number, Proposal>()
  let bag: Message[] = []
  let rounds = 0
  const proposed = new Set<string>()
  const schedule: Schedule = { acceptors: size, crashes: 0, lost: 0, tries: 0, decided: [] }
  const chance = random() * 0.4

  function begin(proposer: number, round: number): void {
    const text = `value of ${proposer}`
    const value = random() < 0.2 ? undefined : Buffer.from(text)
    if (value != null) proposed.add(text)
    // a name of its own for every try: a ballot is never used twice
    const ballot: Ballot = [round, `${proposer}.${schedule.tries++}`]
    running.set(proposer, propose(ballot, size, value))
    send(proposer)
  }
  function send(proposer: number): void {
    const { is, ballot, value } = running.get(proposer)!
    for (let to = 0; to < size; to++)
      bag.push(
        is === 'preparing'
          ? { to, proposer, ballot, is: 'prepare' }
          : { to, proposer, ballot, is: 'accept', value: value! }
      )
  }
  function deliver(message: Message): void {
    if (message.reply != null) {
      answered(message)
      return
    }
    if (!up[message.to]) return
    const { state, reply } =
      message.is === 'prepare'
        ? prepare(disks[message.to]!, message.ballot)
        : accept(disks[message.to]!, message.ballot, message.value)
    disks[message.to] = state
    bag.push({ ...message, reply, from: message.to })
  }
  function answered({ proposer, ballot, reply, from, is }: Message): void {
    const proposal = running.get(proposer)
    const isOld = proposal?.ballot[1] !== ballot[1] || (is === 'prepare') !== (proposal.is === 'preparing')
    if (proposal == null || isOld) return
    const next = hear(proposal, String(from), reply!)
    running.set(proposer, next)
    rounds = Math.max(rounds, next.round)
    if (next.is === 'decided') schedule.decided.push(Buffer.from(next.value!).toString())
    if (next.is === 'accepting' && proposal.is === 'preparing') send(proposer)
  }

  for (let step = 0; step < STEPS; step++) {
    const roll = random()
    if (roll < 0.05) begin(pick(PROPOSERS), pick(2) + rounds)
    else if (roll < 0.05 + chance / 8) {
      const at = pick(size)
      up[at] = !up[at]
      schedule.crashes++
    } else if (roll < 0.05 + chance / 6) {
      running.delete(pick(PROPOSERS))
      schedule.crashes++
    } else if (bag.length > 0) {
      const at = pick(bag.length)
      const message = bag[at]!
      // what stays in the bag comes again
      if (random() > chance / 3) bag.splice(at, 1)
      if (random() < chance) schedule.lost++
      else deliver(message)
    } else begin(pick(PROPOSERS), rounds + 1)
  }

  up.fill(true)
  for (let tries = 0; tries < 3; tries++) {
    bag = []
    running.clear()
    const [round, before] = [rounds + 1, schedule.tries++]
    running.set(0, propose([round, `last.${before}`], size, Buffer.from('last')))
    proposed.add('last')
    send(0)
    while (bag.length > 0) deliver(bag.shift()!)
    if (running.get(0)!.is === 'decided') break
  }
  const values = new Set(schedule.decided)
  if (running.get(0)?.is !== 'decided') schedule.problem = 'nothing was decided after the network healed'
  else if (values.size > 1) schedule.problem = `two values: ${[...values].join(', ')}`
  else if (![...values].every(value => proposed.has(value))) schedule.problem = 'a value that nobody proposed'
  return schedule
}

/** 500 schedules of a seed. */
export function checkSlots(seed: number, schedules = SCHEDULES) {
  const random = createRandom(seed)
  const all = Array.from({ length: schedules }, () => runSchedule(random))
  const sum = (figure: 'crashes' | 'lost' | 'tries'): number =>
    all.reduce((sum, each) => sum + each[figure], 0)
  return {
    seed,
    schedules,
    crashes: sum('crashes'),
    lost: sum('lost'),
    tries: sum('tries'),
    /** a value was seen decided before the end, by several */
    contested: all.filter(({ decided }) => decided.length > 1).length,
    problem: all.find(({ problem }) => problem != null)?.problem ?? ''
  }
}

export async function run({ seeds, seed }: { seeds: number; seed: number }) {
  const table = Array.from({ length: seeds }, (_, i) => checkSlots(seed + i))
  return { ok: table.every(({ problem }) => problem === ''), table }
}
