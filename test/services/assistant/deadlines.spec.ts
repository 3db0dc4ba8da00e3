import { equal, rejects } from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { provider as schema } from '../../../services/assistant/provider/provider.ts'
import { createSend } from '../../../services/assistant/provider/send.ts'

describe('assistant: a provider that says nothing', () => {
  it('is given up before its first byte, and between two pieces', async () => {
    let isMute = true
    const server = createServer((_, response) => {
      if (isMute) return
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {"choices":[]}\n\n')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { send, close } = createSend({ read: async () => '' }, Date.now, {
      firstByteMs: 200,
      silenceMs: 200
    })
    const provider = schema.parse({ kind: 'openai', url, models: [{ id: 'm' }] })
    const route = { name: 'mute', provider, model: provider.models[0]! }
    const ask = () => send(route, '/chat/completions', { stream: true }, AbortSignal.timeout(30_000))
    try {
      await rejects(ask(), (error: Error & { failure: object }) => {
        equal(error.name, 'ProviderError')
        equal((error.failure as { kind: string }).kind, 'overdue')
        return true
      })
      isMute = false
      const reply = await ask()
      const events = 'events' in reply ? reply.events : undefined
      equal((await events?.next())?.value, '{"choices":[]}')
      await rejects(events!.next(), { code: 'UND_ERR_BODY_TIMEOUT' })
    } finally {
      await close()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  })
})
