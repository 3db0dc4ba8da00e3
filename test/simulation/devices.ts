import { isSignedBy } from '../../ledger/index.ts'
import { createAgent } from '../../services/devices/delivery/agent.ts'
import { openChains } from '../../services/devices/delivery/chains.ts'
import { deliveredUpTo, type Receipt } from '../../services/devices/delivery/receipt.ts'
import { createWitness } from '../../services/devices/delivery/witness.ts'
import { openChainLog } from '../../services/devices/log/chain-log.ts'
import { type ChainId, decodeEntry, MOVED } from '../../services/devices/log/entry.ts'
import type { Peers } from '../../services/devices/messages.ts'
import { unfold } from '../../services/devices/series/unfold.ts'
import { signerFrom } from '../ledger/helpers.ts'
import { MachineDisk } from './devices-disk.ts'
import { createRandom, type Random } from './random.ts'

const STEPS = 150
const SEGMENT_BYTES = 3_000
const [agentKey, ...witnessKeys] = ['agent', 'first', 'second'].map(name => signerFrom(`devices ${name}`))
const AGENT = agentKey!.account

interface Report {
  problem?: string
  recorded: number
  crashes: number
  forks: number
  repaired: number
}

/** A node of the simulation: a disk that stays, and a process that comes and goes. */
class Machine {
  readonly disk: MachineDisk
  readonly receipts = new Map<number, Map<string, Receipt>>()
  node?: Awaited<ReturnType<typeof boot>>
  isCut = false
  readonly key: typeof agentKey & {}
  constructor(key: typeof agentKey & {}, world: World) {
    this.key = key
    this.disk = new MachineDisk(world.random)
  }
}

interface World {
  random: Random
  now: number
  machines: Map<string, Machine>
  forks: number
  /** messages that come once more, later */
  late: (() => Promise<unknown>)[]
}

async function boot(machine: Machine, world: World) {
  const { key, disk } = machine
  const there: ChainId[] = [...disk.folders.keys()].map(folder => {
    const [agent, number] = folder.split('/')
    return { agent: agent!, number: Number(number) }
  })
  const isSigned = isSignedBy
  const chains = await openChains({
    self: key.account,
    isSigned,
    disk: ({ agent, number }) => disk.open(`${agent}/${number}`),
    there,
    segmentBytes: SEGMENT_BYTES,
    onFound: () => {}
  })
  const log = Object.assign(() => {}, { error: () => {} })
  const witness = createWitness({
    chains,
    sign: key.sign,
    isSigned,
    now: () => world.now,
    keeps: account => account === AGENT,
    hasRoom: () => true,
    onWritten: () => {},
    onFork: () => void world.forks++,
    log
  })
  const agent = await createAgent({
    self: key.account,
    fleet: 'simulated',
    chains,
    peers: peersOf(machine, world),
    witnesses: () => witnessKeys.map(({ account }) => account),
    receipts: {
      of: number => [...(machine.receipts.get(number)?.values() ?? [])],
      save(number, receipt) {
        const known = machine.receipts.get(number) ?? new Map<string, Receipt>()
        machine.receipts.set(number, known.set(receipt.witness, receipt))
      }
    },
    sign: key.sign,
    isSigned,
    moment: () => ({ boot: 'b', monoMs: world.now, timeMs: world.now, clock: 'unset' }),
    onWritten: () => {},
    alert: () => {},
    log
  })
  return { chains, witness, agent }
}

/** A wire that loses questions and answers, and doubles questions, also much later. */
function peersOf(from: Machine, world: World): Peers {
  const { random } = world
  return {
    async *find() {},
    async ask(peer, kind, request) {
      const to = world.machines.get(peer)!
      const answer = async (): Promise<any> => {
        const { node } = to
        if (node == null || to.isCut || from.isCut) throw new Error('unreachable')
        if (kind === 'append') return node.witness.append(from.key.account, request as never)
        if (kind === 'chains')
          return { chains: node.chains.all().map(({ chain, first, head }) => ({ ...chain, first, ...head })) }
        const {
          agent,
          number,
          from: seq
        } = request as unknown as { agent: string; number: number; from: number }
        return { batch: await node.chains.find({ agent, number })?.read(seq) }
      }
      if (random() < 0.1) throw new Error('the question is lost')
      if (kind === 'append' && random() < 0.1) world.late.push(answer)
      const reply = await answer()
      if (random() < 0.1) throw new Error('the answer is lost')
      return reply
    }
  }
}

/** One history of an agent and two witnesses. `setsBack`: the agent's disk may be replaced by an older image of it. */
export async function checkDevices(seed: number, setsBack: boolean): Promise<Report> {
  const random = createRandom(seed)
  const world: World = { random, now: 1_000, machines: new Map(), forks: 0, late: [] }
  for (const key of [agentKey!, ...witnessKeys]) world.machines.set(key.account, new Machine(key, world))
  const all = [...world.machines.values()]
  const [mine, ...witnesses] = all as [Machine, ...Machine[]]
  const signal = new AbortController().signal
  const acknowledged = new Set<number>()
  const report: Report = { recorded: 0, crashes: 0, forks: 0, repaired: 0 }
  let image = mine.disk.image()
  let next = 0

  async function up(machine: Machine): Promise<void> {
    if (machine.node != null) return
    const node = await boot(machine, world)
    machine.node = node
    await attempt(() => node.agent.start(signal))
  }
  function down(machine: Machine): void {
    if (machine.node == null) return
    report.crashes++
    machine.disk.crash()
    machine.node = undefined
  }
  /** What fails on the way is tried again by the next step. */
  async function attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      for (const machine of all) if ((error as Error).name === 'CrashError') await settle(machine)
      return false
    }
  }
  async function settle(machine: Machine): Promise<void> {
    try {
      await machine.node?.chains.all()[0]?.read(0)
    } catch (error) {
      if ((error as Error).name === 'CrashError') machine.node = undefined
    }
  }
  async function record(): Promise<void> {
    const { node } = mine
    if (node == null) return
    const some = Array.from({ length: 1 + Math.floor(random() * 5) }, () => next++)
    mine.disk.crashesInWrite = random() < 0.05
    const writes = some.map(async id => {
      const kind = random() < 0.3 ? 'account' : 'sample'
      await node.agent.record({ class: kind, device: 'd', kind: 'k', body: { id } })
      acknowledged.add(id)
    })
    await node.agent.flush()
    const results = await Promise.allSettled(writes)
    if (results.some(({ status }) => status === 'rejected')) {
      report.crashes++
      mine.node = undefined
    }
    mine.disk.crashesInWrite = false
  }
  const deliver = (witness: Machine): Promise<boolean> =>
    attempt(async () => mine.node?.agent.deliver(witness.key.account, signal))

  const steps: [number, () => Promise<unknown>][] = [
    [30, record],
    [30, () => deliver(witnesses[Math.floor(random() * 2)]!)],
    [4, async () => down(all[Math.floor(random() * 3)]!)],
    [10, () => up(all[Math.floor(random() * 3)]!)],
    [
      4,
      async () => {
        witnesses[Math.floor(random() * 2)]!.isCut = random() < 0.5
      }
    ],
    [4, () => compare(0)],
    [4, () => compare(1)],
    [4, async () => world.late.length > 0 && attempt(world.late.splice(0, 1)[0]!)],
    // an entry of which only one copy is right, and another one wrong, is beyond two witnesses
    [
      setsBack ? 0 : 3,
      async () => void (random() < 0.5 && witnesses[Math.floor(random() * 2)]!.disk.rot(false))
    ],
    [
      2,
      async () => {
        image = mine.disk.image()
      }
    ],
    [
      setsBack ? 2 : 0,
      async () => {
        down(mine)
        mine.disk.setBack(image)
        // what only the lost part of the disk had is nowhere; what is on any disk must stay
        const known = new Set<unknown>()
        for (const { disk } of all) for (const id of await idsOn(disk)) known.add(id)
        for (const id of acknowledged) if (!known.has(id)) acknowledged.delete(id)
      }
    ]
  ]
  async function idsOn(disk: MachineDisk): Promise<unknown[]> {
    const copy = new MachineDisk(random)
    copy.setBack(disk.image())
    const ids: unknown[] = []
    for (const folder of copy.folders.keys()) {
      const chain = { agent: AGENT, number: Number(folder.split('/')[1]) }
      const log = await openChainLog({ disk: copy.open(folder), chain, isSigned: isSignedBy })
      for (let at = log.first; at <= log.head.seq; at++) {
        const { entries } = (await log.read(at).catch(() => undefined)) ?? { entries: [] }
        if (entries.length === 0) continue
        const { kind, body } = decodeEntry(entries[0]!)
        ids.push(kind === MOVED ? decodeEntry(body.entry as Uint8Array).body.id : body.id)
      }
    }
    return ids
  }
  async function compare(i: number): Promise<unknown> {
    const { node } = witnesses[i]!
    if (node == null) return
    return attempt(async () => {
      report.repaired += (await scrub(witnesses[i]!)) ? 1 : 0
      for (const other of [witnesses[1 - i]!, mine])
        await node.witness.compare(other.key.account, peersOf(witnesses[i]!, world), signal)
    })
  }
  async function scrub({ node }: Machine): Promise<boolean> {
    const found = await Promise.all(node!.chains.all().map(log => log.scrub()))
    return found.some(wrong => wrong > 0)
  }

  const total = steps.reduce((sum, [weight]) => sum + weight, 0)
  for (const machine of all) await up(machine)
  for (let turn = 0; turn < STEPS; turn++) {
    world.now += 1_000
    let place = random() * total
    const [, step] = steps.find(([weight]) => {
      place -= weight
      return place < 0
    })!
    await step()
  }

  // everything is well again
  for (const machine of all) machine.isCut = false
  for (let round = 0; round < 400; round++) {
    for (const machine of all) await attempt(() => up(machine))
    for (const witness of witnesses) await deliver(witness)
    await compare(round % 2)
    await compare(1 - (round % 2))
    if (round > 20 && isQuiet()) break
  }
  function isQuiet(): boolean {
    const { agent } = mine.node!
    const { log } = agent
    const everywhere = deliveredUpTo(
      witnesses.map(({ node }) => node!.chains.find(log.chain)?.head ?? { seq: -1 })
    )
    return (
      everywhere === log.head.seq &&
      witnesses.every(({ node }) => node!.chains.all().every(c => c.holes.length === 0))
    )
  }
  report.recorded = acknowledged.size
  report.forks = mine.node!.agent.log.chain.number
  report.problem = await findProblem()
  return report

  /**
   * Every acknowledged entry is with each witness, once. Where two witnesses have taken different entries of one number
   * from disks that were set back, one of them has it.
   */
  async function findProblem(): Promise<string | undefined> {
    if (!isQuiet()) return 'not everything was delivered in the end'
    const lists: Map<number, number>[] = []
    for (const { key, node } of witnesses) {
      const seen = new Map<number, number>()
      lists.push(seen)
      for (const log of node!.chains.of(AGENT)) {
        let at = log.first
        while (at <= log.head.seq) {
          const batch = await log.read(at)
          if (batch == null) return `${key.account} lacks entry ${at} of chain ${log.chain.number}`
          for (const bytes of batch.entries) {
            const { id } = (await unfold(decodeEntry(bytes), node!.chains))?.body ?? {}
            if (typeof id === 'number') seen.set(id, (seen.get(id) ?? 0) + 1)
          }
          at += batch.entries.length
        }
      }
      for (const [id, times] of seen) if (times > 1) return `${key.account} has entry ${id} ${times} times`
    }
    const areSplit = await hasSplit()
    for (const id of acknowledged) {
      const copies = lists.filter(seen => seen.has(id)).length
      if (copies < (areSplit ? 1 : 2)) return `${copies} witnesses have entry ${id}`
    }
    return undefined
  }

  async function hasSplit(): Promise<boolean> {
    const [first, second] = witnesses.map(({ node }) => node!.chains)
    for (const log of first!.of(AGENT)) {
      const other = second!.find(log.chain)
      if (other == null) continue
      const seq = Math.min(log.head.seq, other.head.seq)
      const [a, b] = [await log.hashAt(seq), await other.hashAt(seq)]
      if (a != null && b != null && Buffer.compare(a, b) !== 0) return true
    }
    return false
  }
}

export async function run({ seeds, seed }: { seeds: number; seed: number }) {
  const table = []
  let ok = true
  for (const setsBack of [false, true]) {
    const sum = { recorded: 0, crashes: 0, forks: 0, repaired: 0 }
    let failed: string | undefined
    for (let i = seed; i < seed + seeds && failed == null; i++) {
      const { problem, ...counts } = await checkDevices(i, setsBack)
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += counts[key]
      if (problem != null) failed = `seed ${i}: ${problem}`
    }
    ok &&= failed == null
    table.push({ 'disks set back': setsBack, seeds, ...sum, result: failed ?? 'right' })
  }
  return { ok, table }
}
