import './shims.ts'
import { defaultLogger } from '@libp2p/logger'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { tabOptions } from '../../bootstrap/tab-options.ts'
import { createSigner } from '../../ledger/index.ts'
import { createWebSandbox } from '../../sandbox/index.ts'
import { createLender } from '../../scheduler/create-lender.ts'
import type { Escrow, Meeting } from '../../services/index.ts'
import type { TabState, ToTab } from './contract.ts'
import { createDialTimes } from './dial-times.ts'
import { createEscrows } from './escrows.ts'
import { loadKey } from './key.ts'
import { createTabPolicy } from './policy.ts'
import { createWalls } from './walls.ts'

/*
 * A node in a tab: the worker's side alone, in a Worker of the page, for timers of hidden pages stand still. It lends to
 * the nodes that it can dial: the one that served the page and those that it names.
 */

const TICK_MS = 1_000
const MEETING_MS = 60_000
/** A browser holds a connection to each, and how many the page's server names is not ours to say. */
const MAX_NODES = 16
const DIAL_MS = 10_000
const ESCROWS_MS = 5_000

self.onmessage = ({ data, ports }: MessageEvent<ToTab>): void => {
  self.onmessage = null
  run(data, ports[0]!).catch((error: Error) =>
    tell({ problem: error.name === 'SandboxUnavailableError' ? 'engine' : error.message })
  )
}

const tell = (state: Partial<TabState>): void => self.postMessage(state)

/** The engine's own name and version: `chrome-156`. */
function engine(): string {
  const [, name, version] = /(Chrome|Firefox|Version)\/(\d+)/.exec(navigator.userAgent) ?? []
  return `${name === 'Version' ? 'safari' : (name?.toLowerCase() ?? 'browser')}-${version ?? '0'}`
}

async function run({ limits, meeting, version }: ToTab, frame: MessagePort): Promise<void> {
  const sandbox = createWebSandbox({ class: engine() }, { walls: createWalls(frame) })
  await sandbox.start()
  const privateKey = await loadKey()
  let met = await ask<Meeting>(meeting)
  const logger = defaultLogger()
  const network = await createLibp2p({ ...tabOptions({ privateKey, version }), logger })
  const done = { slices: 0, ms: 0, earned: 0n }
  const escrows = createEscrows(asked => ask<(Escrow | null)[]>(escrowsUrl(meeting, asked)))
  const policy = createTabPolicy(limits, () => performance.now())
  const lender = createLender(
    {
      policy,
      network: met.network,
      worked(_, { slices, ms, earned }) {
        done.slices += slices
        done.ms += ms
        done.earned += earned
      }
    },
    { network, sandbox, signer: createSigner(privateKey), ledger: escrows, logger }
  )
  await lender.start()
  const times = createDialTimes()
  let problem: string | undefined

  const report = (): void =>
    tell({
      peer: network.peerId.toString(),
      class: sandbox.class,
      nodes: network.getPeers().length,
      running: lender.lent,
      ...done,
      earned: `${done.earned}`,
      problem: network.getPeers().length > 0 ? undefined : problem
    })

  async function dial(): Promise<void> {
    if (met.addresses.length === 0)
      problem = 'the node has no address for browsers: give it one that ends in /ws'
    const known = new Set(network.getPeers().map(String))
    const due = times.due(met.addresses.slice(0, MAX_NODES), known, performance.now())
    await Promise.all(
      due.map(async address => {
        try {
          await network.dial(multiaddr(address), { signal: AbortSignal.timeout(DIAL_MS) })
          times.reached(address)
        } catch (error) {
          problem = (error as Error).message
          times.failed(address, performance.now())
        }
      })
    )
  }

  self.onmessage = ({ data }: MessageEvent<ToTab>) => policy.update(data.limits)
  setInterval(report, TICK_MS)
  const orProblem = (error: Error): void => {
    problem = error.message
  }
  let metAt = performance.now()
  for (let askedAt = metAt; ; ) {
    await dial()
    await new Promise(resolve => setTimeout(resolve, TICK_MS))
    const now = performance.now()
    if (now - askedAt >= ESCROWS_MS) {
      askedAt = now
      await escrows.refresh().catch(orProblem)
    }
    if (now - metAt < MEETING_MS) continue
    metAt = now
    met = (await ask<Meeting>(meeting).catch(orProblem)) ?? met
  }
}

function escrowsUrl(meeting: string, asked: readonly string[]): URL {
  const url = new URL('escrows', meeting)
  for (const each of asked) url.searchParams.append('of', each)
  return url
}

async function ask<T>(url: string | URL): Promise<T> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(DIAL_MS) })
  if (!answer.ok) throw new Error(`the node says nothing about its network (HTTP ${answer.status})`)
  return answer.json() as Promise<T>
}
