import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { isSignedBy } from '../../ledger/index.ts'
import { startPostgres } from '../../node/demo/vm-postgres.ts'
import { createAgent } from '../../services/devices/delivery/agent.ts'
import { type Chains, openChains } from '../../services/devices/delivery/chains.ts'
import type { Receipt } from '../../services/devices/delivery/receipt.ts'
import { createWitness } from '../../services/devices/delivery/witness.ts'
import { createFolderDisk } from '../../services/devices/log/disk.ts'
import { decodeEntry, GENESIS, type Head } from '../../services/devices/log/entry.ts'
import { chainsIn, folderOf } from '../../services/devices/log/folders.ts'
import { createMirror } from '../../services/devices/mirror/mirror.ts'
import { unfold } from '../../services/devices/series/unfold.ts'
import { until } from '../bootstrap/nodes.ts'
import { signerFrom } from '../ledger/helpers.ts'
import { batchOf, chain } from '../services/devices/logs.ts'
import { MachineDisk } from './devices-disk.ts'
import { createRandom, type Random } from './random.ts'

const CHILD = 'test/services/devices/killed-device.ts'
const [agentKey, ...witnessKeys] = ['agent', 'first', 'second'].map(name => signerFrom(`kills ${name}`))
const AGENT = agentKey!.account
const WITNESSES = witnessKeys.map(({ account }) => account)
/** A kill comes at one of the first so many points of a life: some flushes with their deliveries. */
const POINTS = 60
const SEGMENT_BYTES = 3_000
const MIRROR = 'test/services/devices/killed-mirror.ts'
/** Seven queries of a batch with three points each, and some of the next one. */
const MIRROR_POINTS = 30
/** more than the half of what is read together: each is written by itself */
const MIRROR_BATCH = 300
const CONNECTED =
  "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
const log = Object.assign(() => {}, { error: () => {} })
const { signal } = new AbortController()

type Key = ReturnType<typeof signerFrom>

/** A node that is not killed; its disk is memory. */
async function open(key: Key, random: Random): Promise<Chains> {
  const disk = new MachineDisk(random)
  return openChains({
    self: key.account,
    isSigned: isSignedBy,
    disk: ({ agent, number }) => disk.open(`${agent}/${number}`),
    there: [],
    segmentBytes: SEGMENT_BYTES,
    onFound: () => {}
  })
}

const witnessOf = (key: Key, chains: Chains, onFork: () => void) =>
  createWitness({
    chains,
    sign: key.sign,
    isSigned: isSignedBy,
    now: () => 0,
    keeps: account => account === AGENT,
    hasRoom: () => true,
    onWritten: () => {},
    onFork,
    log
  })

const chainsOf = (chains: Chains) => ({
  chains: chains.all().map(({ chain, first, head }) => ({ ...chain, first, ...head }))
})

/** What is not so: each acknowledged entry once in a log, no other one twice. */
async function wrongOf(chains: Chains, acknowledged: ReadonlySet<number>): Promise<string | undefined> {
  const times = new Map<number, number>()
  for (const each of chains.of(AGENT))
    for (let at = each.first; at <= each.head.seq; ) {
      const batch = await each.read(at)
      if (batch == null) return `entry ${at} of chain ${each.chain.number} is missing`
      for (const bytes of batch.entries) {
        const { id } = (await unfold(decodeEntry(bytes), chains))?.body ?? {}
        if (typeof id === 'number') times.set(id, (times.get(id) ?? 0) + 1)
      }
      at += batch.entries.length
    }
  for (const id of acknowledged)
    if (times.get(id) !== 1) return `entry ${id} is there ${times.get(id) ?? 0} times`
  for (const [id, count] of times) if (count > 1) return `entry ${id} is there ${count} times`
  return undefined
}

function start(role: string, folder: string, point: number, first: number): ChildProcess {
  return fork(CHILD, [role, folder, String(point), String(first)], {
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'inherit', 'ipc']
  })
}

/** An agent that is killed `kills` times, and two witnesses. */
async function killAgent(folder: string, kills: number, random: Random) {
  let forks = 0
  const kept = await Promise.all(witnessKeys.map(key => open(key, random)))
  const witnesses = witnessKeys.map((key, i) => witnessOf(key, kept[i]!, () => forks++))
  const acknowledged = new Set<number>()
  let next = 0
  for (let life = 0; life <= kills; life++) {
    const point = life === kills ? 0 : 1 + Math.floor(random() * POINTS)
    const child = start('agent', folder, point, next)
    child.on(
      'message',
      async ({ id, to, kind, request }: { id: number; to: string; kind: string; request: any }) => {
        const i = WITNESSES.indexOf(to)
        const answer =
          kind === 'append'
            ? await witnesses[i]!.append(AGENT, request)
            : kind === 'chains'
              ? chainsOf(kept[i]!)
              : { batch: await kept[i]!.find(request)?.read(request.from) }
        // it may be gone meanwhile
        if (child.connected) child.send({ id, answer }, () => {})
      }
    )
    const said = (async () => {
      for await (const line of createInterface(child.stdout!)) {
        const [what, id] = line.split(' ') as [string, string]
        if (what === 'there') acknowledged.add(Number(id))
        next = Math.max(next, Number(id) + 1)
      }
    })()
    const [code, by] = await once(child, 'exit')
    await said
    if (point === 0 ? code !== 0 : by !== 'SIGKILL')
      return { problem: `life ${life} ended with ${code ?? by}` }
  }
  for (const chains of kept) {
    const problem = await wrongOf(chains, acknowledged)
    if (problem != null) return { problem }
  }
  return { problem: forks > 0 ? `${forks} forks` : undefined, entries: acknowledged.size }
}

/** A witness that is killed `kills` times, beside one that is not, and their agent. */
async function killWitness(folder: string, kills: number, random: Random) {
  const own = await open(agentKey!, random)
  const other = await open(witnessKeys[1]!, random)
  const second = witnessOf(witnessKeys[1]!, other, () => {})
  const receipts = new Map<string, Receipt>()
  const replies = new Map<number, PromiseWithResolvers<any>>()
  let child: ChildProcess | undefined
  let asked = 0
  const agent = await createAgent({
    self: AGENT,
    fleet: 'kills',
    chains: own,
    peers: {
      async *find() {},
      ask: ((to: string, kind: string, request: any) => {
        if (to === WITNESSES[1])
          return kind === 'append'
            ? second.append(AGENT, request)
            : Promise.resolve(
                kind === 'chains'
                  ? chainsOf(other)
                  : other
                      .find(request)
                      ?.read(request.from)
                      .then(batch => ({ batch }))
              )
        const reply = Promise.withResolvers<any>()
        if (child?.connected !== true) return Promise.reject(new Error('it is gone'))
        replies.set(++asked, reply)
        child.send({ id: asked, kind, request }, error => error && reply.reject(error))
        return reply.promise
      }) as never
    },
    witnesses: () => WITNESSES,
    receipts: {
      of: () => [...receipts.values()],
      save: (_, receipt) => void receipts.set(receipt.witness, receipt)
    },
    sign: agentKey!.sign,
    isSigned: isSignedBy,
    moment: () => ({ boot: 'b', monoMs: 0, timeMs: 0, clock: 'unset' }),
    onWritten: () => {},
    alert: () => {},
    log
  })
  const acknowledged = new Set<number>()
  let next = 0
  let isStarted = false
  for (let life = 0; life <= kills; life++) {
    const point = life === kills ? 0 : 1 + Math.floor(random() * POINTS)
    child = start('witness', folder, point, 0)
    const ready = Promise.withResolvers<void>()
    const gone = once(child, 'exit')
    void gone.then(() => {
      ready.resolve()
      for (const reply of replies.values()) reply.reject(new Error('it is gone'))
      replies.clear()
    })
    let forked = false
    child.stdout!.on('data', () => {
      forked = true
    })
    child.on(
      'message',
      ({ id, answer, ready: isReady }: { id: number; answer: unknown; ready?: boolean }) => {
        if (isReady) return ready.resolve()
        replies.get(id)?.resolve(answer)
        replies.delete(id)
      }
    )
    await ready.promise
    if (!isStarted) await agent.start(signal)
    isStarted = true
    try {
      for (;;) {
        if (life < kills) {
          const writes = [next++, next++, next++].map(async id => {
            await agent.record({ class: 'account', device: 'd', kind: 'k', body: { id } })
            acknowledged.add(id)
          })
          await agent.flush()
          await Promise.all(writes)
        }
        const steps = [await agent.deliver(WITNESSES[1]!, signal), await agent.deliver(WITNESSES[0]!, signal)]
        if (life === kills && steps.every(step => step === 'idle')) break
      }
    } catch (error) {
      if ((error as Error).message !== 'it is gone') throw error
    }
    if (forked) return { problem: 'a fork was seen' }
    if (life < kills) {
      const [, by] = await gone
      if (by !== 'SIGKILL') return { problem: `life ${life} ended with ${by}` }
      continue
    }
    const before = receipts.get(WITNESSES[0]!)!.seq
    child.kill()
    await gone
    if (before !== agent.log.head.seq) return { problem: `its last receipt is ${before}` }
  }
  const chains = await openFolder(WITNESSES[0]!, folder)
  const problem = (await wrongOf(chains, acknowledged)) ?? (await wrongOf(other, acknowledged))
  await chains.close()
  return { problem, entries: acknowledged.size }
}

/** A mirror that is killed `kills` times, before, in and after queries, and its PostgreSQL. */
async function killMirror(folder: string, kills: number, random: Random) {
  const postgres = await startPostgres()
  try {
    const { host, user, database } = postgres.settings
    const url = `postgres://${user}@/${database}?host=${encodeURIComponent(host)}`
    const chains = await openFolder('nobody', folder)
    const kept = await chains.kept(chain)
    let before: Head = GENESIS
    for (let i = 0; i < kills + 10; i++) {
      const { batch, head } = batchOf(i * MIRROR_BATCH, before.hash, MIRROR_BATCH)
      await kept.append(batch, head)
      before = head
    }
    for (let life = 0; life < kills; life++) {
      const point = 1 + Math.floor(random() * MIRROR_POINTS)
      const [code, by] = await once(
        spawn(process.execPath, [MIRROR, folder, url, String(point)], { stdio: 'inherit' }),
        'exit'
      )
      if (by !== 'SIGKILL') return { problem: `life ${life} ended with ${code ?? by}` }
      // what it had begun is over once nobody is connected
      await until(async () => (await postgres.query(CONNECTED)).trim() === '0', 'the server has seen it')
    }
    const mirror = createMirror(url, chains)
    await mirror.catchUp(signal)
    const { rows, missing, wrong, unknown } = (await mirror.reconcile(signal))[0]!
    await mirror.close()
    await chains.close()
    const isRight = rows === before.seq + 1 && missing + wrong + unknown === 0
    return { problem: isRight ? undefined : `${rows} rows of ${before.seq + 1}`, entries: before.seq + 1 }
  } finally {
    await postgres.stop()
  }
}

const openFolder = async (self: string, folder: string): Promise<Chains> =>
  openChains({
    self,
    isSigned: isSignedBy,
    disk: each => createFolderDisk(folderOf(folder, each)),
    there: await chainsIn(folder),
    segmentBytes: SEGMENT_BYTES,
    onFound: () => {}
  })

/** `npm run simulate -- device-kills --seeds 200`: real processes on a real disk; `seeds` is how often each is killed. */
export async function run({ seeds: kills, seed }: { seeds: number; seed: number }) {
  const table = []
  let ok = true
  for (const [role, kill] of Object.entries({ agent: killAgent, witness: killWitness, mirror: killMirror })) {
    const folder = await mkdtemp(join(tmpdir(), 'artel-kills-'))
    try {
      const { problem, entries } = await kill(folder, kills, createRandom(seed))
      ok &&= problem == null
      table.push({ killed: role, kills, entries, result: problem ?? 'right' })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  return { ok, table }
}
