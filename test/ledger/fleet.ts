import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signerFrom } from './helpers.ts'
import type { ProcessInit } from './process.ts'
import { type NodeProcess, spawnNode } from './spawn.ts'

export const GRANT = 1_000_000

/** Ledger nodes as processes, each with the key and the folder of its name; all end with `stop`. */
export interface Fleet {
  network: ProcessInit['network']
  start(
    name: string,
    peers: NodeProcess[],
    init?: Partial<Pick<ProcessInit, 'behaviour' | 'host'>> & { through?: string[] }
  ): Promise<NodeProcess>
  /** Waits until these nodes have the same balances. */
  equalBooks(nodes: NodeProcess[]): Promise<void>
  stop(): Promise<void>
}

/** A network whose witnesses are called `w0`, `w1` … */
export async function createFleet(witnesses: number): Promise<Fleet> {
  const root = await mkdtemp(join(tmpdir(), 'artel-ledger-processes-'))
  const running: NodeProcess[] = []
  const network = {
    id: 'processes',
    witnesses: Array.from({ length: witnesses }, (_, i) => signerFrom(`w${i}`).account),
    grantMicro: String(GRANT),
    grantBits: 4
  }
  return {
    network,
    start: async (name, peers, init) => {
      const connectTo = peers.map(({ addresses }) => addresses[0]!)
      const node = await spawnNode({ network, key: name, directory: join(root, name), connectTo, ...init })
      running.push(node)
      return node
    },
    equalBooks: nodes =>
      eventually('equal books', async () => {
        const books = await Promise.all(nodes.map(node => node.call<string[]>('book')))
        return new Set(books.map(book => book.join())).size === 1
      }),
    stop: async () => {
      await Promise.all(running.map(node => node.kill()))
      await rm(root, { recursive: true, force: true })
    }
  }
}

export async function eventually(
  what: string,
  isTrue: () => Promise<boolean>,
  deadlineMs = 240_000
): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
