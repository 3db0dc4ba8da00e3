import { strict as assert } from 'node:assert'
import type { Directory } from '../../services/index.ts'
import { until } from '../bootstrap/nodes.ts'

export interface DirectoryNode {
  id: string
  directory: Directory
}

export interface DirectorySetup {
  /** started nodes that can reach each other, the first without any service */
  start(count: number): Promise<DirectoryNode[]>
  /** ends everything that was started */
  stop(): Promise<void>
}

export async function providers(node: DirectoryNode, service: string, options = {}): Promise<string[]> {
  const found: string[] = []
  for await (const { id } of node.directory.find(service, options)) found.push(id.toString())
  return found.sort()
}

/** What every Directory must do, however it finds its peers. */
export function directorySuite(name: string, setup: () => DirectorySetup): void {
  describe(`directory: ${name}`, () => {
    let nodes: DirectoryNode[]
    let current: DirectorySetup
    const service = 'artel/test/1'

    const start = async (count: number): Promise<void> => {
      nodes = await current.start(count)
    }
    beforeEach(() => {
      current = setup()
    })
    afterEach(() => current.stop())

    it('finds every provider once, and never itself', async () => {
      await start(5)
      const offering = nodes.slice(1)
      for (const { directory } of offering) directory.announce(service)
      const ids = offering.map(({ id }) => id).sort()
      const seenBy = async (node: DirectoryNode) => {
        const others = ids.filter(id => id !== node.id)
        let found: string[] = []
        await until(async () => {
          found = await providers(node, service)
          return found.length >= others.length
        }, 'all are found')
        assert.deepEqual(found, others)
      }
      await seenBy(nodes[0]!)
      await seenBy(offering[0]!)
    })

    it('does not mix services', async () => {
      await start(3)
      nodes[1]!.directory.announce('artel/test/1')
      nodes[2]!.directory.announce('artel/test/2')
      await until(
        async () => (await providers(nodes[0]!, 'artel/test/2')).length === 1,
        'the second is found'
      )
      assert.deepEqual(await providers(nodes[0]!, 'artel/test/2'), [nodes[2]!.id])
    })

    it('answers nothing for a service that nobody offers', async () => {
      await start(2)
      assert.deepEqual(await providers(nodes[0]!, service), [])
    })

    it('stops at the limit', async () => {
      await start(4)
      for (const { directory } of nodes.slice(1)) directory.announce(service)
      await until(async () => (await providers(nodes[0]!, service)).length === 3, 'all are found')
      assert.equal((await providers(nodes[0]!, service, { limit: 2 })).length, 2)
    })

    it('says how many hold the announcement, and forgets it on withdrawal', async () => {
      await start(3)
      const { directory } = nodes[1]!
      directory.announce(service)
      directory.announce(service)
      await until(() => (directory.announced().get(service) ?? 0) > 0, 'somebody holds it')
      await directory.withdraw(service)
      assert.equal(directory.announced().size, 0)
    })

    it('rejects when its signal aborts', async () => {
      await start(2)
      const signal = AbortSignal.abort(new Error('enough'))
      await assert.rejects(providers(nodes[0]!, service, { signal }), /enough/)
    })

    it('refuses what is not a service key', async () => {
      await start(1)
      const { directory } = nodes[0]!
      for (const key of [
        '',
        'compute',
        'artel/compute',
        'artel/Compute/1',
        'artel/compute/0',
        `artel/${'x'.repeat(65)}/1`
      ]) {
        assert.throws(() => directory.announce(key), { name: 'ServiceKeyError' }, key)
        await assert.rejects(providers(nodes[0]!, key), { name: 'ServiceKeyError' }, key)
      }
    })
  })
}
