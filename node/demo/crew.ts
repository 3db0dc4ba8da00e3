import { type DemoNode, type Stage, until } from './stage.ts'

const WORKERS = ['worker1', 'worker2', 'worker3']

/** A seed that lends nothing, three workers of one slot, and a client that lends nothing. */
export interface Crew {
  client: DemoNode
  /** Brings back a worker that was killed, with what is on its disk, and waits until the client has all of them. */
  bringBack(worker: string): Promise<void>
}

/** Starts a crew, each a process of its own, and waits until the client has found all workers by the seed's address. */
export async function startCrew(stage: Stage): Promise<Crew> {
  stage.say('Starting a seed, three workers and a client, each a process of its own …')
  const seed = await stage.start('seed', ['seed', '--listen', '/ip4/127.0.0.1/tcp/0', '--compute', 'false'])
  const enter = ['start', '--seed', seed.address]
  // all five are this machine's owner's own, so they work for each other also where a wall is missing
  const worker = (name: string): Promise<DemoNode> =>
    stage.start(name, [...enter, '--gateway-enabled', 'false', '--slots', '1', '--trusted-peer', '*'])
  await Promise.all(WORKERS.map(worker))
  const client = await stage.start('client', [...enter, '--gateway-port', '0', '--compute', 'false'])
  const allWorkers = (): Promise<void> =>
    until(
      'the client to find three workers',
      async () => (await client.control.network.network()).workers === WORKERS.length
    )
  await allWorkers()
  return {
    client,
    async bringBack(name) {
      stage.say(`${name} comes back with what is on its disk.`)
      await worker(name)
      await allWorkers()
    }
  }
}
