import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdentity } from '../../../bootstrap/index.ts'
import { createSigner, isSignedBy } from '../../../ledger/index.ts'
import { buildGuest } from '../../../node/demo/vm-guest.ts'
import { PeerError } from '../../../services/host/index.ts'
import { COMMAND_DOMAIN, encodeCommand, type Signed } from '../../../services/vm/core/command.ts'
import { RELEASE_DOMAIN, statement } from '../../../services/vm/core/statement.ts'
import { chunksOf, contentOf } from '../../../services/vm/machines/content.ts'
import { describeMachine } from '../../../services/vm/machines/description.ts'
import { recover } from '../../../services/vm/machines/recover.ts'
import { createMovesIn } from '../../../services/vm/peers/move-in.ts'
import { createMovesOut } from '../../../services/vm/peers/move-out.ts'
import type { MoveWire } from '../../../services/vm/peers/move-wire.ts'
import { flattenChain } from '../../../services/vm/qemu/images.ts'
import type { Database } from '../../../services/vm/store/database.ts'
import { chainOf, disksOf, ownMachine } from '../../../services/vm/store/records.ts'
import { booted, openMachines, type, until } from './machines-host.ts'

const MB = 2 ** 20
type Name = 'moveBegin' | 'moveKnown' | 'moveLayer' | 'moveRelease' | 'moveAbort'
type Fault = (name: Name, when: 'before' | 'after') => Promise<void> | void

async function openSide() {
  const signer = createSigner((await createIdentity()).privateKey)
  return {
    self: signer.account,
    sign: (domain: string, bytes: Uint8Array) => signer.sign(`artel/vm/${domain}`, bytes),
    isSigned: (peer: string, domain: string, bytes: Uint8Array, signature: Uint8Array) =>
      isSignedBy(peer, `artel/vm/${domain}`, bytes, signature),
    host: await openMachines(),
    database: undefined as Database | undefined
  }
}
type Side = Awaited<ReturnType<typeof openSide>>

/** The target as its peers reach it: what it does not know by name is said by the class that a peer's answer has. */
function movesInto(side: Side, from: string) {
  const context =
    side.database === undefined ? side.host.context : { ...side.host.context, database: side.database }
  const moves = createMovesIn({ ...side.host, context }, side, async () => {})
  const call = { peer: from, signal: AbortSignal.timeout(120_000), send: async () => {}, received: undefined }
  return {
    ...moves,
    async ask(name: Name, request: unknown, received: unknown = undefined) {
      try {
        return await moves.handlers[name](request as never, { ...call, received } as never)
      } catch (error) {
        throw new PeerError((error as Error).name, (error as Error).message)
      }
    }
  }
}

function wireTo(source: Side, target: () => Side, fault: Fault, sent: string[] = []): MoveWire {
  async function reach(name: Name, request: unknown, received?: unknown) {
    await fault(name, 'before')
    const answer = await movesInto(target(), source.self).ask(name, request, received)
    await fault(name, 'after')
    return answer as never
  }
  return {
    ...source,
    ask: (_, name, request) => reach(name, request),
    async send(_, request, chunks) {
      sent.push(request.layer)
      return ((await reach('moveLayer', request, chunks)) as { cid: string }).cid
    }
  }
}

async function* watched<T>(items: AsyncIterable<T>, onItem: () => Promise<void>): AsyncGenerator<T> {
  for await (const item of items) {
    await onItem()
    yield item
  }
}

describe('a move to another host', () => {
  let a: Side
  let b: Side
  let owner: string
  let folder: string
  let bytes: Buffer
  const orderOf = (to: string): Signed => {
    const envelope = encodeCommand({
      ...{ host: a.self, caller: owner, nonce: new Uint8Array(16), expires: Date.now() + 50_000 },
      ...{ name: 'move', args: { vm: 'm1', to } }
    })
    return { envelope, signature: a.sign(COMMAND_DOMAIN, envelope) }
  }
  const has = async (side: Side) => (await ownMachine(side.host.database, owner, 'm1')) !== undefined
  const restart = async (side: Side) => {
    side.host = await side.host.again()
  }
  const settle = async () => {
    await createMovesOut(
      a.host,
      wireTo(
        a,
        () => b,
        () => {}
      )
    ).settle()
    await movesInto(b, a.self).settle()
  }

  /** What a guest would read of the disk. */
  async function read({ host }: Side): Promise<Buffer> {
    const machine = (await ownMachine(host.database, owner, 'm1'))!
    const [disk] = await disksOf(host.database, machine.uuid)
    const out = join(folder, 'out')
    await flattenChain(
      host.context.programs,
      host.context.layerFile,
      await chainOf(host.database, disk!.top),
      out
    )
    execFileSync('qemu-img', ['convert', '-O', 'raw', out, join(folder, 'raw')])
    await using raw = await open(join(folder, 'raw'))
    return (await raw.read(Buffer.alloc(bytes.length), 0, bytes.length, 0)).buffer
  }

  /** One machine with a snapshot, a disk of two layers, and an operator. */
  async function make(side: Side) {
    await side.host.registry.auth(owner, 'm1', '64', '1')
    await side.host.media.importDisk(owner, 'm1', 'd1', join(folder, 'source.qcow2'))
    await side.host.snapshots.take(owner, 'm1', 's1')
    await side.host.registry.grant(owner, 'm1', 'somebody', 'operator')
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-vm-move-'))
    ;[a, b] = [await openSide(), await openSide()]
    owner = a.self
    bytes = Buffer.concat([randomBytes(2 * MB), Buffer.alloc(3 * MB), randomBytes(MB)])
    const raw = join(folder, 'source')
    execFileSync('sh', ['-c', `cat > ${raw}`], { input: bytes })
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, join(folder, 'source.qcow2')])
    await make(a)
  })
  afterEach(async () => {
    await a.host.end()
    await b.host.end()
    await rm(folder, { recursive: true, force: true })
  })

  it('brings disks, snapshots and rights, leaves nothing behind, and sends what is there already no second time', async () => {
    const sent: string[] = []
    const there = createMovesOut(
      a.host,
      wireTo(
        a,
        () => b,
        () => {},
        sent
      )
    )
    assert.equal(await there.move(owner, 'm1', b.self, orderOf(b.self)), 'moved')
    assert.equal(sent.length, 3) // the image, the top under the snapshot, the top
    assert.deepEqual([await has(a), await has(b)], [false, true])
    assert.ok((await read(b)).equals(bytes))
    assert.deepEqual(readdirSync(join(a.host.folder, 'layers')), [])
    assert.deepEqual(readdirSync(join(a.host.folder, 'machines')), [])
    assert.deepEqual(
      (await b.host.snapshots.list(owner, 'm1')).map(({ name }) => name),
      ['s1']
    )
    assert.equal((await b.host.registry.list('somebody')).length, 1)
    await b.host.snapshots.restore(owner, 'm1', 's1')
    assert.ok((await read(b)).equals(bytes))

    // a second one over the same image: its first layer is known there by what is in it
    await make(a)
    await b.host.registry.remove(owner, 'm1')
    sent.length = 0
    assert.equal(await there.move(owner, 'm1', b.self, orderOf(b.self)), 'moved')
    assert.ok(sent.length < 3, `${sent.length} layers`)
    assert.ok((await read(b)).equals(bytes))
  })

  for (const name of ['moveBegin', 'moveKnown', 'moveLayer', 'moveRelease'] as const)
    for (const when of ['before', 'after'] as const)
      it(`the source killed ${when} ${name}: one copy`, async () => {
        let isReached = false
        const hang: Fault = (at, phase) => {
          if (at !== name || phase !== when) return
          isReached = true
          return new Promise(() => {})
        }
        const moving = createMovesOut(
          a.host,
          wireTo(a, () => b, hang)
        )
        void moving.move(owner, 'm1', b.self, orderOf(b.self))
        await until(() => isReached, 'the phase')
        assert.ok(!((await has(a)) && (await has(b))), 'never two')
        await restart(a)
        await settle()
        assert.equal(Number(await has(a)) + Number(await has(b)), 1)
        assert.ok((await read((await has(a)) ? a : b)).equals(bytes))
        const [row] = await ((await has(a)) ? a : b).host.registry.check(owner)
        assert.equal(row!.isSound, true)
        assert.ok(
          !existsSync(join(b.host.folder, 'incoming')) ||
            readdirSync(join(b.host.folder, 'incoming')).length === 0
        )
      })

  for (const name of ['moveBegin', 'moveKnown', 'moveLayer'] as const)
    it(`the target lost at ${name}: the machine stays`, async () => {
      const lost: Fault = (at, phase) => {
        if (at === name && phase === 'after') throw new Error('unreachable')
      }
      const moving = createMovesOut(
        a.host,
        wireTo(a, () => b, lost)
      )
      await assert.rejects(moving.move(owner, 'm1', b.self, orderOf(b.self)), /unreachable/)
      await restart(b)
      await settle()
      assert.deepEqual([await has(a), await has(b)], [true, false])
      assert.ok((await read(a)).equals(bytes))
    })

  it('the target killed while it registers the machine: it has it after the next release, once', async () => {
    let left = 1
    b.database = {
      ...b.host.database,
      async transaction(work) {
        return b.host.database.transaction(async queries => {
          const result = await work(queries)
          const isIn = (await ownMachine(queries, owner, 'm1')) !== undefined
          if (isIn && left-- > 0) throw new Error('killed')
          return result
        })
      }
    }
    const moving = createMovesOut(
      a.host,
      wireTo(
        a,
        () => b,
        () => {}
      )
    )
    assert.equal(await moving.move(owner, 'm1', b.self, orderOf(b.self)), 'released')
    assert.deepEqual([await has(a), await has(b)], [false, false])
    // not even from the trash
    await assert.rejects(a.host.registry.restore(owner, 'm1'), { name: 'NotFoundError' })
    await restart(b)
    b.database = undefined
    await settle()
    await settle()
    assert.deepEqual([await has(a), await has(b)], [false, true])
    assert.ok((await read(b)).equals(bytes))
  })

  it('comes back where the target refuses it at the end', async () => {
    const meanwhile: Fault = async (at, phase) => {
      if (at === 'moveRelease' && phase === 'before') await b.host.registry.auth(owner, 'm1', '64', '1')
    }
    const moving = createMovesOut(
      a.host,
      wireTo(a, () => b, meanwhile)
    )
    await assert.rejects(moving.move(owner, 'm1', b.self, orderOf(b.self)), { name: 'NotFoundError' })
    assert.ok((await read(a)).equals(bytes))
    assert.equal((await a.host.registry.list(owner, { isAuthenticated: true })).length, 1)
  })

  it('is taken with the order of the owner, from its source, with the content that was said', async () => {
    const machine = (await ownMachine(a.host.database, owner, 'm1'))!
    const description = await describeMachine(a.host.database, machine.uuid)
    const move = '00000000-0000-4000-8000-000000000001'
    const into = movesInto(b, a.self)
    const refused = (work: Promise<unknown>, name: string) => assert.rejects(work, { name })
    await refused(into.ask('moveBegin', { move, command: orderOf('elsewhere'), description }), 'AuthError')
    const stolen = { ...description, machine: { ...machine, owner: b.self } }
    await refused(into.ask('moveBegin', { move, command: orderOf(b.self), description: stolen }), 'AuthError')
    await refused(
      movesInto(b, b.self).ask('moveBegin', { move, command: orderOf(b.self), description }),
      'AuthError'
    )
    await into.ask('moveBegin', { move, command: orderOf(b.self), description })
    const layer = description.layers[0]!.uuid
    const chunks = (async function* () {
      yield { at: 0, bytes: Buffer.from('other content') }
    })()
    const cid = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
    await refused(into.ask('moveLayer', { move, layer, bytes: 13, cid }, chunks), 'StorageError')
    await refused(movesInto(b, b.self).ask('moveKnown', { move, known: [] }), 'NotFoundError')
    const envelope = statement(move, a.self, b.self, description)
    const forged = { envelope, signature: b.sign(RELEASE_DOMAIN, envelope) }
    await refused(into.ask('moveRelease', { move, description, release: forged }), 'AuthError')
    // without its layers it is refused for good
    const release = { envelope, signature: a.sign(RELEASE_DOMAIN, envelope) }
    await refused(into.ask('moveRelease', { move, description, release }), 'NotFoundError')
    assert.equal(await has(b), false)
    assert.deepEqual(readdirSync(join(b.host.folder, 'layers')), [])

    // nor a disk that names a file of the host, nor another machine than was announced
    const backed = join(folder, 'backed.qcow2')
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/passwd', backed, '1M'])
    const named = { ...description, machine: { ...machine, id: 'm2' } }
    for (const [i, [told, why]] of (
      [
        [description, /names a backing file/],
        [named, /another one/]
      ] as const
    ).entries()) {
      const move = `00000000-0000-4000-8000-00000000001${i}`
      await into.ask('moveBegin', { move, command: orderOf(b.self), description })
      for (const { uuid } of description.layers)
        await into.ask('moveLayer', { move, layer: uuid, ...(await contentOf(backed)) }, chunksOf(backed))
      const envelope = statement(move, a.self, b.self, told)
      const release = { envelope, signature: a.sign(RELEASE_DOMAIN, envelope) }
      const answer = into.ask('moveRelease', { move, description: told, release })
      await assert.rejects(answer, { name: 'NotFoundError', message: why })
    }
    assert.equal(await has(b), false)
    assert.deepEqual(readdirSync(join(b.host.folder, 'layers')), [])
    const huge = { move, layer, bytes: 2 ** 46, cid }
    await refused(into.ask('moveLayer', huge, chunks), 'NotFoundError')
    await into.ask('moveBegin', { move, command: orderOf(b.self), description })
    await refused(into.ask('moveLayer', { ...huge, bytes: 2 ** 46 + 2 ** 41 }, chunks), 'QuotaError')
  })

  it('of a guest that runs: it goes on there in the middle of what it did, or here where the other falls silent', async () => {
    await a.host.registry.update(owner, 'm1', '128', '1')
    await a.host.media.boot(owner, 'm1', await buildGuest())
    const { uuid } = (await ownMachine(a.host.database, owner, 'm1'))!
    try {
      await a.host.power.start(owner, 'm1')
      await booted(a.host, uuid)
      await type(a.host, uuid, 'x=41; echo kept > /note')
      const wire = wireTo(
        a,
        () => b,
        () => {}
      )
      const { send } = wire
      const moving = createMovesOut(a.host, wire)
      const layers = (side: Side) => readdirSync(join(side.host.folder, 'layers')).length
      // only of memory nobody knows what it will be
      const isMemory = ({ cid }: { cid?: string }) => cid === undefined
      const status = async () =>
        (await a.host.power.live(uuid).ask<{ status: string }>('query-status')).status

      // lost with the first layer behind the memory: the guest stands still
      let isMemoryThere = false
      wire.send = async (peer, request, chunks) => {
        const cid = await send(peer, request, chunks)
        if (isMemoryThere) throw new Error('unreachable')
        isMemoryThere = isMemory(request)
        return cid
      }
      await assert.rejects(moving.move(owner, 'm1', b.self, orderOf(b.self)), /unreachable/)
      assert.equal(await type(a.host, uuid, 'echo $((x+1))'), '42')
      const had = layers(a)
      const during: string[] = []
      wire.send = async (peer, request, chunks) => {
        if (!isMemory(request)) return send(peer, request, chunks)
        const cid = await send(
          peer,
          request,
          // QEMU waits until what it wrote is taken: at its first piece it is in the middle
          watched(chunks, async () => {
            if (during.length === 0) during.push(await status())
          })
        )
        during.push(await status())
        return cid
      }
      assert.equal(await moving.move(owner, 'm1', b.self, orderOf(b.self)), 'moved')
      assert.equal(during[0], 'running', 'the guest runs while its memory is sent')
      assert.notEqual(during[1], 'running', 'it stands still for what is sent behind it')
      assert.equal(a.host.power.live(uuid).observe().isAlive, false)
      const kinds = async () => (await b.host.registry.events(owner, 'm1', 0)).map(({ kind }) => kind)
      await until(async () => (await kinds()).includes('went-on'), 'its going on')
      assert.equal(await type(b.host, uuid, 'echo $((x+1)); cat /note'), '42\r\nkept')
      assert.equal((await b.host.registry.show(owner, 'm1')).state, 'running')
      // one more than before, for the disk was frozen; of the memory nothing is left
      assert.equal(layers(a), 0)
      await until(() => layers(b) === had + 1, 'the end of its memory')
    } finally {
      for (const { host } of [a, b]) await host.power.stop(owner, 'm1', { force: true }).catch(() => {})
    }
  })

  it('is received once and receipted whenever it is asked for, also by a target that lost its records', async () => {
    let asked: unknown
    const wire = wireTo(
      a,
      () => b,
      () => {}
    )
    const silent: MoveWire = {
      ...wire,
      async ask(peer, name, request) {
        if (name !== 'moveRelease') return wire.ask(peer, name, request)
        asked = request
        throw new Error('unreachable')
      }
    }
    const { move } = createMovesOut(a.host, silent)
    assert.equal(await move(owner, 'm1', b.self, orderOf(b.self)), 'released')
    const into = movesInto(b, a.self)
    const receipts = await Promise.all([into.ask('moveRelease', asked), into.ask('moveRelease', asked)])
    assert.deepEqual(receipts[0], receipts[1])
    // too late to be called off
    await into.ask('moveAbort', { move: (asked as { move: string }).move })
    assert.ok(await has(b))
    b.host = await b.host.again(lost => rm(join(lost, 'vm.sqlite')))
    await assert.rejects(movesInto(b, a.self).ask('moveRelease', asked), { name: 'BusyError' })
    await recover(b.host.context, b.host.power)
    await settle()
    assert.deepEqual([await has(a), await has(b)], [false, true])
    assert.deepEqual(readdirSync(join(a.host.folder, 'machines')), [])
    assert.ok((await read(b)).equals(bytes))
  })
})
