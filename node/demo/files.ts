import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Demo } from './contract.ts'
import { digest, seeded } from './seeded.ts'
import { openServiceNetwork } from './service-network.ts'
import { until } from './stage.ts'
import { createSteps } from './steps.ts'

const MB = 1_000_000
const REPLICAS = 2
const REPAIR_TIMEOUT_MS = 60_000
/** Nobody wants to wait ten minutes for a node that was killed. */
const SETTINGS = { graceSeconds: 2, checkSeconds: 2, lendMb: 1000, lendPerPeerMb: 1000, allowedPeers: ['*'] }

interface Info {
  cid: string
  blocks: number
  holders: { peer: string; state: string; bytes: number }[]
}

/** One node adds a file; others hold copies of it; one of these is killed while it copies. */
export const files: Demo = {
  summary: 'a file is shared by its content and copied to two nodes; one is killed meanwhile and replaced',
  flags: { megabytes: '64' },
  async run({ folder, say }, { megabytes }) {
    const bytes = Number(megabytes) * MB
    const { step, played } = createSteps(say)

    await using network = await openServiceNetwork(folder, 'files')
    say('Starting an owner and three nodes that lend room, each a process of its own …')
    const owner = await network.start('owner', SETTINGS)
    const names = ['ann', 'bob', 'eve']
    await Promise.all(names.map(name => network.start(name, SETTINGS)))
    const nameOf = (peer: string): string =>
      [...network.nodes.values()].find(({ id }) => id === peer)?.name ?? peer.slice(-6)

    const source = join(folder, 'film.bin')
    await writeFile(source, seeded('film', bytes))
    const expected = await digest(createReadStream(source))
    const info = (): Promise<Info> => owner.call('info', { file: 'film.bin' })
    const proved = async (): Promise<string[]> =>
      (await info()).holders
        .filter(({ state }) => state === 'proved')
        .map(({ peer }) => nameOf(peer))
        .sort()

    await step(`${megabytes} MB added, ${REPLICAS} copies wanted`, async () => {
      const { cid } = await owner.call<Info>('add', { path: source, replicas: REPLICAS })
      return { right: cid.startsWith('bafybei'), detail: cid }
    })
    let killed = ''
    await step('a node is killed in the middle of its copy', async () => {
      let progress = ''
      await until('a copy to be under way', async () => {
        const { holders } = await info()
        const copying = holders.find(({ state, bytes }) => state === 'copying' && bytes > 0)
        if (copying == null) return false
        killed = nameOf(copying.peer)
        progress = `${killed}, at ${Math.round(copying.bytes / MB)} MB`
        await network.nodes.get(killed)?.kill()
        return true
      })
      return { right: true, detail: progress }
    })
    await step('two other nodes have proved that they hold it', async () => {
      await until('two replicas', async () => (await proved()).length === REPLICAS, REPAIR_TIMEOUT_MS)
      const holders = await proved()
      return { right: !holders.includes(killed), detail: holders.join(' and ') }
    })
    await step('their copies have the SHA-256 of the source', async () => {
      const { cid } = await info()
      const holders = (await proved()).map(name => network.nodes.get(name)!)
      const sums = await Promise.all(holders.map(node => node.call('digest', { file: cid })))
      return { right: sums.every(sum => sum === expected), detail: `${expected.slice(0, 16)}…` }
    })
    await step('the killed one is back and gets the file by its CID', async () => {
      const node = await network.start(killed, SETTINGS)
      const { cid } = await info()
      const target = join(folder, 'film.copy')
      await node.call('get', { file: cid, path: target })
      return { right: (await digest(createReadStream(target))) === expected, detail: `${megabytes} MB` }
    })
    await step('unpinned: every node has let go', async () => {
      await owner.call('unpin', { file: 'film.bin' })
      const lent = async (): Promise<number> => {
        const all = await Promise.all(
          [...network.nodes.values()].map(node => node.call<{ usage: { lent: number } }>('status'))
        )
        return all.reduce((sum, { usage }) => sum + usage.lent, 0)
      }
      await until('nothing to be held', async () => (await lent()) === 0)
      return { right: true, detail: '0 bytes lent' }
    })

    const ended = await network.end()
    return played(ended, { sha256: expected, killed, nodesEnded: ended })
  }
}
