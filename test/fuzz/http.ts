import { strict as assert } from 'node:assert'
import { connect } from 'node:net'
import { PROBLEM, TestGateway } from '../services/gateway-node.ts'
import type { Target } from './target.ts'

const ANSWER_MS = 240_000
const EXAMPLES: Record<string, string> = {
  'POST /api/v1/tasks': '{"type":"map","items":[1,2],"fn":"x => x"}',
  'POST /api/v1/tasks/batch': '{"specs":[{"type":"map","items":[1],"fn":"x => x"}]}',
  'POST /api/v1/quote': '{"type":"map","items":[1,2],"fn":"x => x"}'
}

/** Every route of the API as bytes on a socket, against a real node; its token and its name are filled in at the end. */
export async function http(): Promise<Target> {
  const gateway = await TestGateway.start()
  const { hostname, port } = new URL(gateway.url)
  const real = gateway.operations.map(operation => {
    const body = /^(POST|PUT|PATCH)/.test(operation) ? (EXAMPLES[operation] ?? '{"a":[1,"b"]}') : ''
    const lines = [
      `${operation.replace(/\{\w+\}/g, 'x1')}?limit=2 HTTP/1.1`,
      'host: HOST',
      'authorization: Bearer TOKEN',
      ...(body === '' ? [] : ['content-type: application/json', `content-length: ${body.length}`]),
      'connection: close'
    ]
    return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
  })

  /** The first of what it says; nothing where the connection was closed without a word. */
  const ask = (bytes: Uint8Array): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname)
      const late = setTimeout(() => {
        socket.destroy()
        reject(new Error(`no answer within ${ANSWER_MS} ms`))
      }, ANSWER_MS)
      let said = ''
      const end = () => {
        clearTimeout(late)
        socket.destroy()
        resolve(said)
      }
      socket.on('data', data => {
        said += data
        // streams of events go on for ever
        if (said.includes('\r\n\r\n')) end()
      })
      socket.on('close', end).on('error', () => {})
      const request = Buffer.from(bytes).toString('latin1')
      socket.end(request.replace('TOKEN', gateway.token).replace('HOST', `${hostname}:${port}`), 'latin1')
    })

  return {
    real,
    refuses: [],
    async take(bytes) {
      const said = await ask(bytes)
      const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(said) ?? []
      assert.ok(status !== '500', `a mistake of the node: ${said.slice(0, 2_000)}`)
      if (status === '400' && said.includes(PROBLEM)) assert.match(said, /content-length/i)
    },
    close: () => gateway[Symbol.asyncDispose]()
  }
}
