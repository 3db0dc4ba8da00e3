import { strict as assert } from 'node:assert'
import { PassThrough } from 'node:stream'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { frame, readFrames } from '../../bootstrap/framing.ts'
import { createIdentity, createNetwork, verifyNetwork } from '../../bootstrap/index.ts'
import { readFrames as readChildFrames } from '../../sandbox/frames.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { fromRequester, fromWorker } from '../../scheduler/protocol/compute-messages.ts'
import { readAnswer, readRequest, readSpec } from '../../scheduler/protocol/delegate-messages.ts'
import { readModel } from '../../scheduler/tasks/onnx/read-model.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
import { TASK_KINDS } from '../../scheduler/tasks/registry.ts'
import { readNode } from '../../services/files/dag-node.ts'
import { parseJson } from '../../services/gateway/http/body.ts'
import { decoders as ledger } from '../ledger/decoders.ts'
import { encodeModel } from '../scheduler/onnx-model.ts'
import { openStream, type Target } from './target.ts'

const MAX_BYTES = 1 << 16
const text = (value: unknown) => Buffer.from(JSON.stringify(value))

const VALUES = [
  { list: [1, -1, 1.5, Number.NaN, true, null, undefined], text: 'ä\ud800', bytes: new Uint8Array(20) },
  [2n ** 70n, -3n, new Float64Array([1, 2]), new Int32Array([-1])],
  'x'.repeat(300)
]

const LOAD = { program: 'p', kind: 'function', source: 'x => x', timeoutMs: 1000, memoryMb: 64 }
const SLICE = { id: 1, program: 'p', inputs: [encodeValue(1)], expectedMs: 0, job: 'j', price: 7 }
const RESULT = { id: 1, ms: 3, signature: new Uint8Array(64), outcomes: [encodeValue(2)] }
const MESSAGES = [
  { t: 'load', ...LOAD, functions: { f: { kind: 'expression', source: 'x' } }, context: new Uint8Array(9) },
  { t: 'lease', slices: [SLICE, { ...SLICE, inputs: [{ size: 3, pieces: [new Uint8Array(3)] }] }] },
  { t: 'revoke', slices: [1, 2] },
  { t: 'unload', program: 'p' },
  { t: 'result', slices: [RESULT, { ...RESULT, outcomes: [{ name: 'threw', message: 'no' }] }] },
  { t: 'loaded', program: 'p' }
]

const MODEL = encodeModel({
  inputs: [{ name: 'x', dims: ['n', 2] }],
  outputs: ['y'],
  nodes: [{ op: 'Gemm', inputs: ['x', 'w'], outputs: ['y'], attributes: { alpha: { float: 2 }, transB: 1 } }],
  tensors: { w: { dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) } }
})

const node = (unixfs: UnixFS, links: dagPb.PBLink[] = []) =>
  dagPb.encode(dagPb.prepare({ Data: unixfs.marshal(), Links: links }))

/** Frames of the protocols between nodes, read from a stream of libp2p. */
async function readStream(bytes: Uint8Array): Promise<void> {
  const [ours, theirs] = await openStream()
  const ended = new Promise<Error | undefined>(resolve =>
    readFrames(theirs, {
      maxBytes: MAX_BYTES,
      onFrame: each => assert.ok(each.length > 0 && each.length <= MAX_BYTES),
      onEnd: resolve
    })
  )
  if (bytes.length > 0) ours.send(bytes)
  await ours
    .close({ signal: AbortSignal.timeout(60_000) })
    .catch(() => ours.abort(new Error('taken no more')))
  const error = await ended
  if (error != null && !error.message.includes('closed its end')) throw error
}

/** Every reader of bytes that a stranger, a child or a caller can send. */
export const decoders: Record<string, () => Target | Promise<Target>> = {
  value: () => ({
    real: VALUES.map(value => encodeValue(value)),
    refuses: ['ValueError'],
    // one encoding of each value: what is decoded is written the same
    take: bytes => assert.deepEqual(Buffer.from(encodeValue(decodeValue(bytes))), Buffer.from(bytes))
  }),

  messages: () => ({
    real: MESSAGES.map(message => encodeValue(message)),
    refuses: ['ValueError'],
    take(bytes) {
      const value = decodeValue(bytes, { maxBytes: MAX_BYTES, maxItems: 10_000 })
      for (const schema of [fromRequester, fromWorker]) schema.safeParse(value)
    }
  }),

  delegation: () => ({
    real: [
      { t: 'start', key: 'a'.repeat(32), spec: encodeValue({ type: 'map', items: [1], fn: 'x' }) },
      { t: 'price', bound: 7n },
      { t: 'error', name: 'SpecError', message: 'no' }
    ].map(message => encodeValue(message)),
    refuses: ['ValueError'],
    take: bytes => [readRequest, readAnswer, readSpec].map(read => read(bytes))
  }),

  frames: () => ({
    real: [Buffer.concat([1, 200, 300].map(size => frame(new Uint8Array(size).fill(7), 9_000).subarray()))],
    refuses: ['FramingError', 'InvalidMessageLengthError', 'InvalidDataLengthError'],
    take: readStream
  }),

  'child frames': () => ({
    real: [Buffer.from([5, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3, 6, 0, 0, 0, 0, 0, 0, 0])],
    refuses: [],
    take(bytes) {
      const stream = new PassThrough()
      const onFrame = (_: number, body: Uint8Array) => assert.ok(body.length <= MAX_BYTES)
      readChildFrames(stream, { maxBytes: () => MAX_BYTES, onFrame, onWild: () => {} })
      stream.end(bytes)
      return new Promise(resolve => stream.on('close', resolve).resume())
    }
  }),

  model: () => ({ real: [MODEL], refuses: ['SpecError'], take: readModel }),

  spec: () => ({
    // data by CID is filled in before a spec is parsed
    real: TASK_KINDS.map(({ example }) => text(example)).filter(real => !real.includes('"cid"')),
    refuses: ['SpecError', 'RequestError'],
    take: bytes => parseSpec(parseJson(bytes))
  }),

  network: async () => {
    const { privateKey } = await createIdentity()
    const real = text(await createNetwork({ name: 'fuzz' }, privateKey))
    return {
      real: [real],
      refuses: ['NetworkError', 'RequestError'],
      take: bytes => verifyNetwork(parseJson(bytes))
    }
  },

  'file node': async () => {
    const raw = new Uint8Array(100)
    const Hash = CID.createV1(0x55, await sha256.digest(raw))
    const whole = new UnixFS({ type: 'file', blockSizes: [100n, 100n] })
    const links = [1, 2].map(() => ({ Name: '', Hash, Tsize: 100 }))
    const folder = node(new UnixFS({ type: 'directory' }), [{ Name: 'a', Hash, Tsize: 100 }])
    const cid = CID.createV1(dagPb.code, await sha256.digest(folder))
    return {
      real: [node(whole, links), folder, node(new UnixFS({ type: 'file', data: raw }))],
      refuses: ['DagError'],
      take: bytes => readNode(cid, bytes)
    }
  },

  ...Object.fromEntries(
    Object.entries(ledger).map(([name, { real, decode }]): [string, () => Target] => [
      name,
      () => ({ real: [real], refuses: ['MalformedError'], take: decode })
    ])
  )
}
