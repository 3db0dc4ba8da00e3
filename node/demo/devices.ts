import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Demo } from './contract.ts'
import { openServiceNetwork, type ServiceNode } from './service-network.ts'
import { until } from './stage.ts'
import { createSteps } from './steps.ts'

const CLI = fileURLToPath(new URL('../cli/artel.js', import.meta.url))
const WITNESS = { allowedPeers: ['*'] }
const MANY = 50
const WAIT_MS = 90_000

interface Status {
  own: { number: number; last: number; delivered: number }
  witnesses: { peer: string; seq: number }[]
}
/** This computer as a device: an agent, two witnesses, both kinds killed, and somebody who alters a reading. */
export const devices: Demo = {
  summary:
    'a device log with two witnesses: one and the agent are killed, nothing is lost, an alteration is found',
  async run(stage) {
    await using network = await openServiceNetwork(stage.folder, 'devices')
    const { step, played } = createSteps(stage.say)
    const statusOf = (node: ServiceNode): Promise<Status> => node.call('status')
    const delivered = (node: ServiceNode, seq: number): Promise<void> =>
      until(`two receipts for entry ${seq}`, async () => (await statusOf(node)).own.delivered >= seq, WAIT_MS)

    const first = await network.start('first witness', WITNESS)
    const second = await network.start('second witness', WITNESS)
    const settings = {
      witnessPeers: [first.id, second.id],
      drivers: { 'host-metrics': { everySeconds: 0.1 } }
    }
    let agent = await network.start('agent', settings)

    await step(`${MANY} readings of this computer are with two witnesses`, async () => {
      await delivered(agent, MANY)
      const { items } = await second.call<{ items: { id: string; readings: Record<string, number> }[] }>(
        'list'
      )
      const { cpu, memory } = items[0]?.readings ?? {}
      return {
        right: memory != null,
        detail: `cpu ${cpu} %, memory ${memory} %, as the second witness knows it`
      }
    })
    await step('a witness is killed, and gets what it missed when it is back', async () => {
      await second.kill()
      const { own } = await statusOf(agent)
      await until(
        'the other one to get more',
        async () => {
          const { witnesses } = await statusOf(agent)
          return witnesses.some(({ seq }) => seq > own.last + MANY)
        },
        WAIT_MS
      )
      const { own: alone } = await statusOf(agent)
      await network.start('second witness', WITNESS)
      await delivered(agent, alone.last)
      return {
        right: alone.delivered < alone.last,
        detail: `${alone.last - alone.delivered} entries caught up`
      }
    })
    await step('the agent is killed, and goes on where it was', async () => {
      const { own: before } = await statusOf(agent)
      await agent.kill()
      agent = await network.start('agent', settings)
      await delivered(agent, before.last + 1)
      const { own } = await statusOf(agent)
      return {
        right: own.number === before.number && own.last > before.last,
        detail: `entry ${before.last}, then ${own.last}`
      }
    })
    const file = join(stage.folder, 'agent.log')
    await step('the log verifies without a node', async () => {
      await agent.call('export', { path: file })
      const { isRight, last, witnesses, faults } = await verifyLog(file)
      return {
        right: isRight && witnesses.length === 2,
        detail: isRight ? `entries 0 to ${last}, signed by ${witnesses.length} witnesses` : faults.join('; ')
      }
    })
    await step('one bit that is another one is found', async () => {
      const bytes = await readFile(file)
      bytes[Math.floor(bytes.length / 2)]! ^= 1
      const forged = join(stage.folder, 'forged.log')
      await writeFile(forged, bytes)
      const { isRight, faults } = await verifyLog(forged)
      return { right: !isRight, detail: faults[0] ?? 'nothing was found' }
    })
    const ended = await network.end()
    return played(ended, { nodesEnded: ended })
  }
}

interface Verdict {
  isRight: boolean
  last: number
  witnesses: unknown[]
  faults: string[]
}

/** What `artel devices verify` says, which needs no node. */
export function verifyLog(file: string): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [CLI, 'devices', 'verify', file, '--json'], (error, stdout) => {
      // a wrong log is an exit code, and an answer
      if (stdout === '') reject(error)
      else resolve(JSON.parse(stdout) as Verdict)
    })
  })
}
