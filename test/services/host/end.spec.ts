import { deepEqual, equal } from 'node:assert/strict'
import { declare, service } from '../../../services/index.ts'
import { startHost } from './start-host.ts'

const declaration = declare({
  name: 'outside',
  version: 1,
  summary: 'runs something outside',
  operations: {}
})

describe('services that run something outside of the node', () => {
  const said: string[] = []
  let endMs = 1_000
  const outside = service(declaration, async () => () => ({
    operations: {},
    endMs: () => endMs,
    async end() {
      said.push('end')
      if (endMs === 20) await new Promise(() => {})
    },
    stop: () => void said.push('stop')
  }))

  beforeEach(() => {
    said.length = 0
  })

  it('end it when the node ends, before they stop', async () => {
    endMs = 1_000
    const host = await startHost({ modules: [outside] })
    equal(host.services.endMs(), 1_000)
    await host[Symbol.asyncDispose]()
    deepEqual(said, ['end', 'stop'])
  })

  it('leave it where only the service stops, or there is nothing', async () => {
    const settings: Record<string, Record<string, unknown>> = {}
    const host = await startHost({ modules: [outside], settings })
    settings.outside = { enabled: false }
    await host.services.configure()
    equal(host.services.endMs(), 0)
    deepEqual(said, ['stop'])
    settings.outside = {}
    await host.services.configure()
    endMs = 0
    await host[Symbol.asyncDispose]()
    deepEqual(said, ['stop', 'stop'])
  })

  it('stop also where the end takes longer than they said', async () => {
    endMs = 20
    const host = await startHost({ modules: [outside] })
    await host[Symbol.asyncDispose]()
    deepEqual(said, ['end', 'stop'])
  })
})
