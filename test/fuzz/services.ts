import { strict as assert } from 'node:assert'
import type { z } from 'zod'
import { followFrames } from '../../bootstrap/follow-frames.ts'
import { exchangeFrames, frame } from '../../bootstrap/framing.ts'
import { negotiation } from '../../bootstrap/library-rules.ts'
import { followFields } from '../../bootstrap/protobuf-fields.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { messages as devices } from '../../services/devices/messages.ts'
import { messages as files } from '../../services/files/messages.ts'
import { readCookies } from '../../services/gateway/accounts/cookies.ts'
import { planImport } from '../../services/gateway/accounts/import-list.ts'
import { messages as school } from '../../services/messenger/messages.ts'
import { messages as tvs } from '../../services/tv/messages.ts'
import { COMMAND_MS, encodeCommand, openCommand } from '../../services/vm/core/command.ts'
import { messages as machines } from '../../services/vm/peers/messages.ts'
import { openStream, type Target } from './target.ts'

const MAX_BYTES = 1 << 16

const UUID = '0b5f9f0e-8f6f-4f1c-9d8a-0d2f5f1c3b6a'
const CID = 'bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
const SIGNED = { envelope: new Uint8Array(9), signature: new Uint8Array(64) }
const ASKED = [
  { cid: CID },
  { cid: CID, cost: 7 },
  { cid: CID, nonce: new Uint8Array(32), blocks: [CID] },
  { cids: [CID, CID] },
  { hashes: [new Uint8Array(32), new Uint8Array()] },
  { is: 'refused', bytes: 0, why: 'full' },
  SIGNED,
  { move: UUID, known: [{ layer: UUID, bytes: 5, cid: CID }] },
  { at: 0, bytes: new Uint8Array(20) },
  { receipt: new Uint8Array(64) }
]
const schemas = [devices, files, machines, school, tvs].flatMap(messages =>
  Object.values(messages as Record<string, Record<string, unknown>>).flatMap(message =>
    ['request', 'answer', 'items', 'sends'].map(key => message[key]).filter(schema => schema != null)
  )
) as z.ZodType[]

const line = (text: string) => frame(Buffer.from(`${text}\n`), 1024).subarray()

/** What the services, the accounts and the guard of streams read. */
export const services: Record<string, () => Target> = {
  'service messages': () => ({
    real: ASKED.map(message => encodeValue(message)),
    refuses: ['ValueError'],
    take(bytes) {
      const value = decodeValue(bytes, { maxBytes: MAX_BYTES, maxItems: 10_000 })
      for (const schema of schemas) schema.safeParse(value)
    }
  }),

  'service frames': () => ({
    real: [Buffer.concat([1, 200, 300].map(size => frame(new Uint8Array(size).fill(7), 9_000).subarray()))],
    refuses: ['FramingError'],
    async take(bytes) {
      const [ours, theirs] = await openStream()
      const exchange = exchangeFrames(theirs)
      if (bytes.length > 0) ours.send(bytes)
      const closed = ours.close({ signal: AbortSignal.timeout(60_000) }).catch(error => ours.abort(error))
      try {
        const signal = AbortSignal.timeout(60_000)
        for (;;) {
          const message = await exchange.read({ maxBytes: MAX_BYTES, signal })
          if (message == null) return
          assert.ok(message.length <= MAX_BYTES)
        }
      } finally {
        theirs.abort(new Error('enough'))
        await closed
      }
    }
  }),

  'followed streams': () => ({
    real: [
      Buffer.concat([
        line('/multistream/1.0.0'),
        line('/ipfs/bitswap/1.2.0'),
        frame(Uint8Array.of(0x0a, 4, 0x0a, 2, 8, 1, 0x1a, 2, 8, 1, 0x28, 9), 99).subarray()
      ])
    ],
    refuses: ['FramingError'],
    take(bytes) {
      let fields = 0
      const { begin, take } = followFields({ nested: 1, onField: () => void fields++ })
      const rule = { maxBytes: 100, onLength: begin, onBytes: take }
      const follow = followFrames(negotiation(name => (name.startsWith('/ipfs/') ? rule : null)))
      for (let at = 0; at < bytes.length; at += 7) follow(bytes.subarray(at, at + 7))
      assert.ok(fields <= bytes.length)
    }
  }),

  'list of people': () => ({
    real: [Buffer.from('name,role\nanna,admin\n"b""b";user\n'), Buffer.from('\ufeffимя;роль\nанна;user\n')],
    refuses: ['RequestError'],
    take(bytes) {
      const roles = ['admin', 'user']
      const text = Buffer.from(bytes).toString('utf8')
      for (const each of planImport(text, { roles, defaultRole: 'user', roleOf: () => undefined }))
        assert.ok(each.action !== 'create' || roles.includes(each.role))
    }
  }),

  'machine command': () => ({
    real: [
      encodeCommand({
        host: 'h',
        caller: 'c',
        nonce: new Uint8Array(16),
        expires: 30_000,
        name: 'start',
        args: { id: 'm' }
      })
    ],
    refuses: ['AuthError'],
    take(bytes) {
      const { host, expires } = openCommand(
        { envelope: bytes, signature: new Uint8Array(64) },
        'h',
        0,
        () => true
      )
      assert.ok(host === 'h' && expires > 0 && expires <= COMMAND_MS)
    }
  }),

  cookies: () => ({
    real: [Buffer.from('artel-session-80=abc; artel-device-80="d"; other=%E4%B8%AD')],
    refuses: [],
    take: bytes => readCookies(Buffer.from(bytes).toString('latin1'), 'localhost:80')
  })
}
