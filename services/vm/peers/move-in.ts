import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../../../bootstrap/files.ts'
import { type MessageHandlers, RequestError } from '../../host/index.ts'
import type { Memory, Uuid } from '../contract.ts'
import { COMMAND_DOMAIN, type Command, openCommand, type Signed } from '../core/command.ts'
import { needQuota } from '../core/quota.ts'
import { RECEIPT_DOMAIN, RELEASE_DOMAIN, statement } from '../core/statement.ts'
import {
  AuthError,
  BusyError,
  ExistsError,
  NotFoundError,
  QemuError,
  QuotaError,
  StorageError
} from '../errors.ts'
import { contentOf, writeChunks } from '../machines/content.ts'
import { HOST } from '../machines/context.ts'
import type { Machines } from '../machines/create-machines.ts'
import {
  type Description,
  description as descriptionSchema,
  insertDescription,
  renameLayers
} from '../machines/description.ts'
import { dropLayer, loadMemory, processorOf } from '../machines/memory.ts'
import { inspectUpload } from '../qemu/images.ts'
import type { Queries } from '../store/database.ts'
import { createInTurn } from '../store/in-turn.ts'
import { frozenLayers } from '../store/layers.ts'
import * as moves from '../store/moves.ts'
import * as records from '../store/records.ts'
import type { messages } from './messages.ts'
import type { MoveWire } from './move-wire.ts'

/** A move whose source has said nothing for so long is forgotten. */
const SILENT_MS = 3_600_000
const MOVES_AT_ONCE = 8
/** Room that stays free for what the guests write. */
const MB = 2 ** 20
const GB = 2 ** 30
const RESERVE_BYTES = 256 * MB
/** What is said against a machine for good. */
const REFUSALS = ['AuthError', 'ExistsError', 'QuotaError', 'StorageError']

type Handlers = MessageHandlers<
  Pick<typeof messages, 'moveBegin' | 'moveKnown' | 'moveLayer' | 'moveRelease' | 'moveAbort'>
>

/**
 * The target of moves. Nothing of a machine is registered before its source has released it; from then on it is here
 * for good, and every further release gets the same receipt.
 *
 * @param admit rejects where this host takes no machine of this command’s caller
 */
export function createMovesIn(
  { context, power }: Machines,
  wire: Pick<MoveWire, 'self' | 'sign' | 'isSigned'>,
  admit: (command: Command) => Promise<void>
) {
  const { database: db } = context
  const incoming = join(context.folder, 'incoming')
  const folderOf = (move: Uuid) => join(incoming, move)
  // what ends a move and what registers its machine come one after the other
  const inTurn = createInTurn()
  /** layers that are being received, and of which move */
  const coming = new Map<object, Uuid>()
  let isFirst = true

  async function known(queries: Queries, id: Uuid, peer: string): Promise<moves.Move | undefined> {
    const move = await moves.moveById(queries, id)
    return move?.direction === 'in' && move.peer === peer ? move : undefined
  }

  /** @throws NotFoundError where it has ended, or has no such layer */
  async function copying(queries: Queries, id: Uuid, peer: string, layer?: Uuid): Promise<moves.Move> {
    const move = await known(queries, id, peer)
    if (move?.phase !== 'copying') throw new NotFoundError('this host knows no such move')
    if (layer !== undefined && !isOf(move, layer)) throw new NotFoundError('the move has no such layer')
    return move
  }

  async function forget({ id, files }: moves.Move): Promise<void> {
    if (!(await moves.deleteMove(db, id, 'copying'))) return
    await rm(folderOf(id), { recursive: true, force: true })
    // where it ended between putting the files in their place and registering the machine
    for (const { uuid } of Object.values(files))
      if (!(await records.isLayer(db, uuid))) await rm(context.layerFile(uuid), { force: true })
  }

  /** Several layers come at once, and the move may have ended meanwhile. */
  async function keep(id: Uuid, peer: string, layer: Uuid, file: { uuid: Uuid; cid: string }): Promise<void> {
    await db.transaction(async queries => {
      const move = await copying(queries, id, peer, layer)
      const files = { ...move.files, [layer]: file }
      await moves.updateMove(queries, { ...move, files, at: context.now() })
      const before = move.files[layer]
      if (before !== undefined) await rm(join(folderOf(id), before.uuid), { force: true })
    })
  }

  function isOf({ description: { layers } }: moves.Move, layer: Uuid): boolean {
    return layers.some(({ uuid }) => uuid === layer)
  }

  async function needRoom(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(context.folder)
    if (bavail * bsize < bytes + RESERVE_BYTES)
      throw new StorageError(`this host has no room for ${bytes} bytes more`)
  }

  /** Registers the machine, once; as it is here. */
  async function receive(move: moves.Move, told: Description): Promise<Description> {
    const files = told.layers.map(({ uuid }) => {
      const file = move.files[uuid]
      if (file === undefined) throw new AuthError(`layer ${uuid} has not come`)
      return file
    })
    for (const { uuid } of files) {
      const file = join(folderOf(move.id), uuid)
      if (existsSync(file)) await rename(file, context.layerFile(uuid))
    }
    // whoever gets the receipt deletes his
    await syncFolder(context.layerFile('.'))
    const here = renameLayers(told, layer => move.files[layer]!.uuid)
    await inspect(here)
    await db.transaction(async queries => {
      await copying(queries, move.id, move.peer)
      if (!(await insertDescription(queries, here, context.now())))
        throw new ExistsError(`there is a machine ${here.machine.id} or a disk of its name on this host`)
      for (const { uuid, cid } of files)
        if (!here.disks.some(({ top }) => top === uuid)) await records.setCid(queries, uuid, cid)
      needQuota(context.quotas, await records.totalsOf(queries, here.machine.owner))
      await moves.updateMove(queries, { ...move, phase: 'received', description: here })
    })
    await rm(folderOf(move.id), { recursive: true, force: true })
    await context.note(here.machine.uuid, 'moved-in', `from ${move.peer}`)
    return here
  }

  /** In the middle of what it did; where that cannot be, it is started as any other. */
  async function goOn(uuid: Uuid, memory: Memory): Promise<void> {
    const machine = (await records.machineByUuid(db, uuid))!
    const handle = power.live(uuid)
    await context
      .hold(HOST, machine, 'arrival', async () => {
        const processor = processorOf(context)
        if (memory.processor !== processor)
          throw new QemuError(`it ran on ${memory.processor}, not on ${processor}`)
        await loadMemory(context, await power.launch(machine, memory), uuid, memory)
        await context.note(uuid, 'went-on')
      })
      .catch((error: Error) => context.note(uuid, 'memory-lost', error.message))
    handle.operation = undefined
    await dropLayer(context, memory.layer)
    power.soon(uuid)
  }

  /** What QEMU opens is what it was said to be. */
  async function inspect({ disks, layers, snapshots }: Description): Promise<void> {
    const sizes = new Map(disks.map(({ top, sizeGb }) => [top, sizeGb]))
    const parents = layers.flatMap(({ parent }) => parent ?? [])
    const frozen = snapshots.flatMap(({ disks }) => disks.map(({ layer }) => layer))
    for (const layer of new Set([...sizes.keys(), ...parents, ...frozen])) {
      const file = context.layerFile(layer)
      await inspectUpload(file, (sizes.get(layer) ?? context.quotas.diskGb) * GB)
      // a file that another machine reads as well is none to write to
      if (sizes.has(layer) && (await stat(file)).nlink > 1)
        throw new AuthError(`layer ${layer} is a top and was taken for a frozen one`)
    }
  }

  const handlers: Handlers = {
    async moveBegin({ move: id, command: signed, description: told }, { peer }) {
      const description = read(told)
      const command = openCommand(signed as Signed, peer, context.now(), (caller, bytes, signature) =>
        wire.isSigned(caller, COMMAND_DOMAIN, bytes, signature)
      )
      const { machine } = description
      const { vm, to } = command.args
      if (
        command.name !== 'move' ||
        vm !== machine.id ||
        to !== wire.self ||
        command.caller !== machine.owner
      )
        throw new AuthError('the owner of the machine has not asked for this move')
      await admit(command)
      needQuota(context.quotas, await records.totalsOf(db, machine.owner), sizeOf(description))
      const others = (await moves.movesOf(db, 'in', 'copying')).filter(
        move => move.description.machine.owner === machine.owner
      )
      if (others.length >= MOVES_AT_ONCE)
        throw new BusyError(
          `${others.length} machines of yours are on their way to this host; at most ${MOVES_AT_ONCE}`
        )
      if (!machine.active || machine.desired === 'removed' || description.releasedTo !== undefined)
        throw new AuthError('the machine is none that could run here')
      if ((await records.machineByUuid(db, machine.uuid)) !== undefined)
        throw new ExistsError(`this host has machine ${machine.id} already`)
      if ((await records.ownMachine(db, machine.owner, machine.id)) !== undefined)
        throw new ExistsError(`there is another machine ${machine.id} on this host`)
      for (const disk of description.disks)
        if ((await records.ownDisk(db, machine.owner, disk.id)) !== undefined)
          throw new ExistsError(`there is another disk ${disk.id} on this host`)
      await mkdir(folderOf(id), { recursive: true, mode: 0o700 })
      await moves.insertMove(db, {
        ...{ id, machine: machine.uuid, direction: 'in', peer, phase: 'copying' },
        ...{ description, files: {}, at: context.now() }
      })
      return {}
    },

    async moveKnown({ move: id, known }, { peer }) {
      const move = await copying(db, id, peer)
      const missing: Uuid[] = []
      for (const { layer, bytes, cid } of known) {
        if (!isOf(move, layer)) continue
        const same = await findContent(move.description.machine.owner, bytes, cid)
        if (same === undefined) missing.push(layer)
        else {
          const uuid = randomUUID()
          // it is frozen: two names of one file do as well as two files
          await link(context.layerFile(same), join(folderOf(id), uuid))
          await keep(id, peer, layer, { uuid, cid })
        }
      }
      return { missing }
    },

    async moveLayer({ move: id, layer, bytes, cid }, { peer, received }) {
      const { description } = await copying(db, id, peer, layer)
      if (cid === undefined && layer !== description.memory?.layer)
        throw new AuthError(`layer ${layer} has no name for its content`)
      const most = context.quotas.diskGb * GB + context.quotas.ramMb * MB
      if (bytes > most) throw new QuotaError(`layer ${layer} has ${bytes} bytes; this host allows ${most}`)
      await needRoom(bytes)
      coming.set(received, id)
      const uuid = randomUUID()
      const file = join(folderOf(id), uuid)
      try {
        const came = await writeChunks(file, bytes, received, { endsEarly: cid === undefined })
        if (came !== (cid ?? came))
          throw new StorageError(`layer ${layer} came with other content than it was said to have`)
        await keep(id, peer, layer, { uuid, cid: came })
        return { cid: came }
      } catch (error) {
        await rm(file, { force: true })
        throw error
      } finally {
        coming.delete(received)
      }
    },

    async moveRelease({ move: id, description: told, release }, { peer }) {
      const description = read(told)
      const expected = statement(id, peer, wire.self, description)
      if (
        Buffer.compare(expected, release.envelope) !== 0 ||
        !wire.isSigned(peer, RELEASE_DOMAIN, release.envelope, release.signature)
      )
        throw new AuthError('the release does not fit the move')
      return inTurn(async () => {
        const move = await known(db, id, peer)
        if (!(await isHere(description, move))) {
          // with its folder it could be built again
          if (existsSync(context.machineFolder(description.machine.uuid)))
            throw new BusyError('this host has the machine and lost its record; its owner has to recover it')
          if (move?.phase !== 'copying') throw new NotFoundError('this host knows no such move')
          const { uuid } = description.machine
          const handle = power.live(uuid)
          // nobody else starts what is to go on
          if (description.memory !== undefined) handle.operation = 'start'
          const { memory } = await receiveOrForget(move, description).catch(error => {
            handle.operation = undefined
            throw error
          })
          if (memory !== undefined)
            goOn(uuid, memory).catch((error: Error) => context.log.error('machine %s: %e', uuid, error))
        }
        await context.describe(description.machine.uuid)
        power.soon(description.machine.uuid)
        return { receipt: wire.sign(RECEIPT_DOMAIN, release.envelope) }
      })
    },

    moveAbort: ({ move: id }, { peer }) =>
      inTurn(async () => {
        const move = await known(db, id, peer)
        if (move !== undefined) await forget(move)
        return {}
      })
  }

  /**
   * It was received already; also where the record of the move is lost and the machine was built again from its
   * folder: nothing but a move brings a machine of this name here.
   */
  async function isHere(
    { machine: { uuid, owner } }: Description,
    move: moves.Move | undefined
  ): Promise<boolean> {
    if (move?.phase === 'received') return move.machine === uuid
    return (await records.machineByUuid(db, uuid))?.owner === owner
  }

  /** @throws NotFoundError where this host will never have it */
  async function receiveOrForget(move: moves.Move, told: Description): Promise<Description> {
    const { machine } = move.description
    const isSame =
      told.machine.uuid === move.machine &&
      told.machine.owner === machine.owner &&
      told.machine.id === machine.id &&
      told.machine.active &&
      // it gets no more than it was admitted with
      (told.memory === undefined ||
        (told.memory.ramMb === told.machine.ramMb && told.memory.cpu === told.machine.cpu))
    try {
      if (!isSame) throw new AuthError('the machine is another one than was announced')
      return await receive(move, told)
    } catch (error) {
      if (!REFUSALS.includes((error as Error).name)) throw error
      await forget(move)
      throw new NotFoundError(`the machine was refused: ${(error as Error).message}`)
    }
  }

  /** A layer of this owner, and of nobody else, that has this content. */
  async function findContent(owner: string, bytes: number, cid: string): Promise<Uuid | undefined> {
    for (const layer of await frozenLayers(db, owner)) {
      const file = context.layerFile(layer)
      // it may be let go of at this moment
      const found = await stat(file).catch(() => undefined)
      if (found?.size !== bytes) continue
      let own = await records.cidOf(db, layer)
      if (own === undefined) {
        own = (await contentOf(file)).cid
        await records.setCid(db, layer, own)
      }
      if (own === cid) return layer
    }
    return undefined
  }

  return {
    handlers,
    /** Forgets moves that their sources have left, unless they may still be released. */
    settle: (): Promise<void> =>
      inTurn(async () => {
        // of guests that an earlier run of the node was cut off from letting go on: they are booted
        if (isFirst)
          for (const { machine, description } of await moves.movesOf(db, 'in', 'received'))
            if (description.memory !== undefined && power.live(machine).operation === undefined)
              await dropLayer(context, description.memory.layer)
        isFirst = false
        for (const move of await moves.movesOf(db, 'in', 'copying'))
          if (move.at < context.now() - SILENT_MS && ![...coming.values()].includes(move.id))
            await forget(move)
      })
  }
}

/** @throws RequestError where it is none of a machine that could be */
function read(told: unknown): Description {
  const { success, data, error } = descriptionSchema.safeParse(told)
  if (!success) throw new RequestError(`description: ${error.issues[0]!.message}`)
  return data
}

/** What the machine takes of its owner’s quota. */
function sizeOf({ machine, disks }: Description) {
  return {
    machines: 1,
    ramMb: machine.ramMb,
    cpu: machine.cpu,
    diskGb: disks.reduce((sum, { sizeGb }) => sum + sizeGb, 0)
  }
}
