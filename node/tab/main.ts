import './shims.ts'
import { defaultLogger } from '@libp2p/logger'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { tabOptions } from '../../bootstrap/tab-options.ts'
import { createSigner } from '../../ledger/index.ts'
import { createWebSandbox } from '../../sandbox/index.ts'
import { createLender } from '../../scheduler/create-lender.ts'
import type { Meeting } from '../../services/index.ts'
import type { TabState, ToTab } from './contract.ts'
import { loadKey } from './key.ts'
import { createTabPolicy } from './policy.ts'
import { createWalls } from './walls.ts'

/*
 * A node in a tab: the worker's side alone, in a Worker of the page, for timers of hidden pages stand still. It lends to
 * the nodes that it can dial: the one that served the page and those that it names.
 */

const TICK_MS = 1_000
const MEETING_MS = 60_000
const DIAL_MS = 10_000

self.onmessage = ({ data, ports }: MessageEvent<ToTab>): void => {
  self.onmessage = null
  run(data, ports[0]!).catch((error: Error) => tell({ problem: error.message }))
}

const tell = (state: Partial<TabState>): void => self.postMessage(state)

/** The engine's own name and version: `chrome-156`. */
function engine(): string {
  const [, name, version] = /(Chrome|Firefox|Version)\/(\d+)/.exec(navigator.userAgent) ?? []
  return `${name === 'Version' ? 'safari' : (name?.toLowerCase() ?? 'browser')}-${version ?? '0'}`
}

async function run({ limits, meeting, version }: ToTab, frame: MessagePort): Promise<void> {
  const privateKey = await loadKey()
  let met = await meet(meeting)
  const logger = defaultLogger()
  const network = await createLibp2p({ ...tabOptions({ privateKey, version }), logger })
  const done = { slices: 0, ms: 0, earned: 0n }
  const sandbox = createWebSandbox({ class: engine() }, { walls: createWalls(frame) })
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
    { network, sandbox, signer: createSigner(privateKey), logger }
  )
  await sandbox.start()
  await lender.start()
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
    const known = new Set(network.getPeers().map(String))
    const missing = met.addresses
      .map(text => multiaddr(text))
      .filter(address => {
        const peer = address.getComponents().findLast(({ name }) => name === 'p2p')?.value
        return peer != null && !known.has(peer)
      })
    const dialled = missing.map(address => network.dial(address, { signal: AbortSignal.timeout(DIAL_MS) }))
    for (const result of await Promise.allSettled(dialled))
      if (result.status === 'rejected') problem = (result.reason as Error).message
    if (met.addresses.length === 0)
      problem = 'the node has no address for browsers: give it one that ends in /ws'
  }

  self.onmessage = ({ data }: MessageEvent<ToTab>) => policy.update(data.limits)
  setInterval(report, TICK_MS)
  for (let metAt = performance.now(); ; ) {
    await dial()
    await new Promise(resolve => setTimeout(resolve, TICK_MS))
    if (performance.now() - metAt < MEETING_MS) continue
    metAt = performance.now()
    met = await meet(meeting).catch((error: Error) => {
      problem = error.message
      return met
    })
  }
}

async function meet(url: string): Promise<Meeting> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(DIAL_MS) })
  if (!answer.ok) throw new Error(`the node says nothing about its network (HTTP ${answer.status})`)
  return answer.json() as Promise<Meeting>
}
