import { strict as assert } from 'node:assert'
import { Uint8ArrayList } from 'uint8arraylist'
import { followMux } from '../../bootstrap/follow-mux.ts'
import { createIdentity } from '../../bootstrap/index.ts'
import { createSigner, isSignedBy } from '../../ledger/index.ts'
import { createAssembly } from '../../services/assistant/core/chunks.ts'
import { matches, rule } from '../../services/devices/alerts/rule.ts'
import { decodeCommand, encodeCommand } from '../../services/devices/commands/command.ts'
import { fleetDocuments } from '../../services/devices/fleet/document.ts'
import { decodeBatch, encodeBatch, follow, headBytes } from '../../services/devices/log/batch.ts'
import { openChainLog } from '../../services/devices/log/chain-log.ts'
import { encodeEntry, GENESIS } from '../../services/devices/log/entry.ts'
import { frameRecord } from '../../services/devices/log/records.ts'
import { readEvent, signEvent } from '../../services/messenger/core/event.ts'
import { readGeneration, signGeneration } from '../../services/messenger/core/generation.ts'
import {
  FIRST_POLICY,
  readStatement,
  signStatement,
  UNFOUNDED
} from '../../services/messenger/core/statement.ts'
import { putInto, readEnvelope } from '../../services/messenger/mailbox/envelope.ts'
import { newSeed, readCode, writeCode } from '../../services/messenger/school/invitation.ts'
import { withCrc } from '../../services/sas/crc.ts'
import * as sas from '../../services/sas/frames.ts'
import { registrationOf, transferStatusOf } from '../../services/sas/money/frames.ts'
import { createPacketReader } from '../../services/tv/adb/packets.ts'
import { readShellV1, readShellV2, withExitCode } from '../../services/tv/adb/shell-answer.ts'
import { parseCondition } from '../../services/tv/condition.ts'
import { readRaw } from '../../services/tv/screen.ts'
import * as net from '../../services/vm/network/packets.ts'
import { batchOf, chain } from '../services/devices/logs.ts'
import { MachineDisk } from '../simulation/devices-disk.ts'
import { createRandom } from '../simulation/random.ts'
import type { Target } from './target.ts'

const hash32 = new Uint8Array(32).fill(7)
const TIME = 1_790_000_000_000

async function someone() {
  const { privateKey, peerId } = await createIdentity()
  return { signer: createSigner(privateKey), name: peerId.toString() }
}

/** What the services read of machines, TVs, guests, providers and schools. */
export const guests: Record<string, () => Target | Promise<Target>> = {
  'device batch': async () => {
    const { signer, name } = await someone()
    const chain = { agent: name, number: 0 }
    const entry = encodeEntry({
      fleet: 'hall',
      chain,
      seq: 0,
      prev: GENESIS.hash,
      boot: 'b',
      monoMs: 5,
      timeMs: TIME,
      clock: 'ntp',
      class: 'account',
      device: 'd1',
      kind: 'meters',
      body: { coinIn: 5n, list: [1, 'x', null, true], deep: { er: new Uint8Array(3) } }
    })
    const { head } = follow(chain, GENESIS, { from: 0, entries: [entry] })
    const signature = signer.sign('head/1', headBytes(chain, head))
    return {
      real: [encodeBatch({ from: 0, entries: [entry], signature })],
      refuses: ['EntryError', 'ChainError'],
      take: bytes => follow(chain, undefined, decodeBatch(bytes))
    }
  },

  'device segment': () => {
    const first = batchOf(0, GENESIS.hash, 2)
    const second = batchOf(2, first.head.hash, 1)
    const name = '0000000000000000.seg'
    return {
      real: [Buffer.concat([first, second].map(({ batch }) => frameRecord(encodeBatch(batch))))],
      refuses: [],
      async take(bytes) {
        const disk = new MachineDisk(createRandom(1))
        disk.folders.set('log', new Map([[name, bytes]]))
        const open = () => openChainLog({ disk: disk.open('log'), chain, isSigned: isSignedBy })
        const log = await open()
        // nothing that its agent did not sign is ever read
        const { entries = [] } = (await log.read(0)) ?? {}
        const right = [first, second].flatMap(({ batch }) => batch.entries)
        for (const [i, entry] of entries.entries()) assert.deepEqual(entry, right[i])
        assert.deepEqual((await open()).head, log.head)
      }
    }
  },

  'device expressions': () => ({
    real: [
      'host:*\nhost:1',
      '*a*b*\nxaxbx',
      'line=2 & model~metro',
      'volume>10',
      '{"name":"hot","reading":"load","above":80,"clear":70,"forSeconds":60}',
      '{"name":"door","devices":"sas:*","event":"exception","field":"code","equals":"17"}'
    ].map(text => Buffer.from(text)),
    refuses: ['TvRequestError', 'SyntaxError'],
    take(bytes) {
      const [expression, id = ''] = Buffer.from(bytes).toString().slice(0, 400).split('\n') as [
        string,
        string?
      ]
      // a pattern with what it is compared with, or else a condition or a rule
      if (id !== '') {
        if (expression.split('*').length > 5) return matches(expression, id)
        const parts = expression
          .split('*')
          .map(part => part.replace(/[^\p{L}\p{N}]/gu, each => `\\u{${each.codePointAt(0)!.toString(16)}}`))
        return assert.equal(matches(expression, id), new RegExp(`^${parts.join('.*')}$`, 'su').test(id))
      }
      if (!expression.startsWith('{')) return parseCondition(expression)({ line: 2, model: 'metro' })
      const { success, data } = rule.safeParse(JSON.parse(expression))
      if (success) assert.equal(rule.safeParse(data).success, true)
      return success
    }
  }),

  'device command': () => ({
    real: [
      encodeCommand({
        ...{
          fleet: 'hall',
          id: 'command-1',
          issuer: 'someone',
          by: 'ann',
          agent: 'other',
          device: 'valve:1'
        },
        ...{ name: 'turn', args: { to: 7, deep: [1.5, 'ж', null] }, issued: TIME, expires: TIME + 60_000 },
        nonce: hash32.subarray(16)
      })
    ],
    refuses: ['CommandError'],
    take: bytes => decodeCommand(bytes)
  }),

  'fleet document': () => ({
    real: [
      fleetDocuments.issue(
        {
          ...{ fleet: 'hall', version: 7, by: 'ann', at: TIME },
          settings: [{ devices: 'valve:*', values: { opening: 30, name: 'ж', isOpen: true } }],
          grants: [{ peer: 'p'.repeat(52), risk: 3, perDay: 5 }],
          release: { version: '2', sha256: '7'.repeat(64), bytes: 9 }
        },
        'someone',
        () => hash32
      ).bytes
    ],
    refuses: ['DocumentError'],
    take: bytes => fleetDocuments.read({ issuer: 'someone', bytes, signature: bytes })
  }),

  'school statement': async () => {
    const { signer, name } = await someone()
    const user = { id: 'ann', name: 'Ann', role: 'admin' as const, classes: ['5b'], isDisabled: false }
    const device = { user: 'ann', device: name, peer: name, name: 'laptop' }
    const { bytes, signature } = signStatement(signer, {
      school: UNFOUNDED,
      n: 0,
      by: name,
      timeMs: TIME,
      kind: 'found',
      body: { name: 'School', user, device, mailboxes: [name], policy: FIRST_POLICY }
    })
    return {
      real: [bytes],
      refuses: ['MalformedMessageError'],
      take: each => readStatement({ bytes: each, signature })
    }
  },

  'school event': async () => {
    const { signer, name } = await someone()
    const place = { group: hash32, device: name, seq: 1, prev: hash32, roster: 3, timeMs: TIME }
    const { bytes, signature } = signEvent(signer, {
      ...place,
      after: [[name, 0, hash32]],
      kind: 'file',
      body: { name: 'a.png', size: 9, hash: hash32, key: hash32, blobs: [hash32] }
    })
    return {
      real: [bytes],
      refuses: ['MalformedMessageError'],
      take: each => readEvent({ bytes: each, signature })
    }
  },

  generation: async () => {
    const { signer, name } = await someone()
    const { bytes, signature } = signGeneration(signer, {
      group: hash32,
      g: 1,
      prev: hash32,
      by: name,
      roster: 3,
      timeMs: TIME,
      title: 'class',
      history: 'all',
      users: ['ann'],
      devices: [name],
      heads: [[name, 0, hash32]]
    })
    return {
      real: [bytes],
      refuses: ['MalformedMessageError'],
      take: each => readGeneration({ bytes: each, signature })
    }
  },

  envelope: () => ({
    real: [putInto(hash32, new Uint8Array(100))],
    refuses: ['MalformedMessageError'],
    take: readEnvelope
  }),

  invitation: async () => {
    const { name } = await someone()
    const code = writeCode({ school: hash32, user: 'ann', seed: newSeed(), peers: [name] })
    return {
      real: [Buffer.from(code, 'base64url')],
      refuses: ['MalformedMessageError'],
      take: bytes => readCode(Buffer.from(bytes).toString('base64url'))
    }
  },

  'machine answer': () => ({
    real: [
      sas.valuesAnswer(1, 25, [1n, 2n, 3n, 4n, 5n]),
      sas.metersAnswer(1, 0x2f, 0, [{ code: 0, bytes: 4, value: 9n }]),
      sas.metersAnswer(1, 0x6f, 0, [{ code: 11, bytes: 5, value: 9n }]),
      sas.machineIdAnswer(1, { version: '602', serial: '12345' }),
      sas.longPoll(1, 0x72, Buffer.from(`2d0040ff00${'00'.repeat(20)}0461623132${'00'.repeat(16)}`, 'hex')),
      sas.longPoll(1, 0x73, Buffer.from(`1d0104030201${'00'.repeat(24)}`, 'hex'))
    ].map(frame => frame.subarray(0, -2)),
    refuses: ['FrameError'],
    take(bytes) {
      // with a right checksum, for else nothing behind it is read
      const frame = withCrc(bytes)
      const readers = [
        () => sas.valuesOf(1, 25, frame),
        () => sas.metersOf(1, 0x2f, frame),
        () => sas.metersOf(1, 0x6f, frame),
        () => sas.machineIdOf(1, frame),
        () => sas.gameInfoOf(1, frame),
        () => sas.ackOf(1, frame),
        () => registrationOf(1, frame),
        () => transferStatusOf(1, frame)
      ]
      for (const read of readers)
        try {
          read()
        } catch (error) {
          if ((error as Error).name !== 'FrameError') throw error
        }
    }
  }),

  'TV packets': () => {
    const packet = Buffer.alloc(24 + 7, 'payload')
    for (const [at, number] of [0x4e584e43, 0x01000001, 1 << 20, 7, 0].entries())
      packet.writeUInt32LE(number, 4 * at)
    packet.writeUInt32LE((0x4e584e43 ^ 0xffffffff) >>> 0, 20)
    return {
      real: [Buffer.concat([packet, packet])],
      refuses: ['TvProtocolError'],
      take(bytes) {
        const read = createPacketReader()
        for (let at = 0; at < bytes.length; at += 5)
          for (const { payload } of read(Buffer.from(bytes.subarray(at, at + 5))))
            assert.ok(payload.length <= bytes.length)
      }
    }
  },

  'TV answers': () => ({
    real: [
      Buffer.from([1, 2, 0, 0, 0, 0x6f, 0x6b, 3, 1, 0, 0, 0, 0]),
      Buffer.from(`ok\n${withExitCode('').split('"')[1]!.replace('$?', '0')}\n`),
      Buffer.from([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 9, 9, 9])
    ],
    refuses: [],
    take(bytes) {
      for (const read of [readShellV1, readShellV2, readRaw])
        try {
          read(bytes)
        } catch (error) {
          if ((error as Error).name !== 'TvProtocolError') throw error
        }
    }
  }),

  'packets of a guest': () => {
    const [a, b] = [Buffer.of(10, 0, 2, 15), Buffer.of(10, 0, 2, 2)]
    const mac = Buffer.alloc(6, 2)
    const segment = { from: 5, to: 80, seq: 1, ack: 2, flags: net.SYN, window: 9, mss: 1460, payload: a }
    const payloads = [
      { protocol: net.TCP, payload: net.tcp(a, b, segment) },
      { protocol: net.UDP, payload: net.udp(a, b, 5, 53, b) }
    ]
    return {
      real: payloads.map(each => net.ethernet(mac, mac, net.IPV4, net.ip({ from: a, to: b, ...each }))),
      refuses: [],
      take(bytes) {
        const frame = net.openEthernet(Buffer.from(bytes))
        const packet = frame && net.openIp(frame.payload)
        if (packet == null) return
        for (const open of [net.openTcp, net.openUdp])
          assert.ok((open(packet.payload)?.payload.length ?? 0) <= bytes.length)
      }
    }
  },

  'pieces of an answer': () => ({
    real: [
      { id: 'x', choices: [{ index: 0, delta: { role: 'assistant', content: 'Hel' }, finish_reason: null }] },
      {
        choices: [
          {
            index: 1,
            delta: { tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '{' } }] },
            finish_reason: 'stop'
          }
        ],
        usage: { total_tokens: 3 }
      }
    ].map(piece => Buffer.from(JSON.stringify(piece))),
    refuses: ['SyntaxError', 'StreamError'],
    take(bytes) {
      const piece = JSON.parse(Buffer.from(bytes).toString('utf8'))
      if (typeof piece !== 'object' || piece === null) return
      const assembly = createAssembly()
      for (let i = 0; i < 3; i++) assembly.add(structuredClone(piece))
      JSON.stringify(assembly.answer())
      assert.equal(Object.hasOwn(Object.prototype, 'content'), false)
    }
  }),

  'muxed frames': () => ({
    real: [Buffer.from('000100010000000100000000' + '000000000000000100000005' + '68656c6c6f', 'hex')],
    refuses: ['FramingError'],
    take(bytes) {
      let passed = 0
      const { take } = followMux({
        windowOf: id => (id === 1 ? 1 << 18 : undefined),
        pass(each) {
          passed += each.byteLength
        },
        waste: ms => assert.ok(ms >= 0)
      })
      take(new Uint8ArrayList(bytes.subarray(0, 7), bytes.subarray(7)))
      assert.ok(passed <= bytes.length)
    }
  })
}
