import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { MessageHandlers } from '../../host/index.ts'
import type { Uuid } from '../contract.ts'
import { COMMAND_DOMAIN, type Command, openCommand, type Signed } from '../core/command.ts'
import { needQuota } from '../core/quota.ts'
import { RECEIPT_DOMAIN, RELEASE_DOMAIN, statement } from '../core/statement.ts'
import { AuthError, BusyError, ExistsError, NotFoundError, StorageError } from '../errors.ts'
import { contentOf, writeChunks } from '../machines/content.ts'
import type { Machines } from '../machines/create-machines.ts'
import { type Description, insertDescription, renameLayers } from '../machines/description.ts'
import * as moves from '../store/moves.ts'
import * as records from '../store/records.ts'
import type { messages } from './messages.ts'
import type { MoveWire } from './move-wire.ts'

/** A move whose source has said nothing for so long is forgotten. */
const SILENT_MS = 3_600_000
const MOVES_AT_ONCE = 8
/** Room that stays free for what the guests write. */
const RESERVE_BYTES = 256 * 2 ** 20

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

  async function underWay(id: Uuid, peer: string): Promise<moves.Move> {
    const move = await moves.moveById(db, id)
    if (move === undefined || move.direction !== 'in' || move.peer !== peer)
      throw new NotFoundError('this host knows no such move')
    return move
  }

  async function forget({ id, files }: moves.Move): Promise<void> {
    await moves.deleteMove(db, id)
    await rm(folderOf(id), { recursive: true, force: true })
    // where it ended between putting the files in their place and registering the machine
    for (const { uuid } of Object.values(files))
      if (!(await records.isLayer(db, uuid))) await rm(context.layerFile(uuid), { force: true })
  }

  async function keep(move: moves.Move, layer: Uuid, file: { uuid: Uuid; cid: string }): Promise<void> {
    move.files[layer] = file
    move.at = context.now()
    await moves.updateMove(db, move)
  }

  function isOf({ description: { layers } }: moves.Move, layer: Uuid): boolean {
    return layers.some(({ uuid }) => uuid === layer)
  }

  async function needRoom(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(context.folder)
    if (bavail * bsize < bytes + RESERVE_BYTES)
      throw new StorageError(`this host has no room for ${bytes} bytes more`)
  }

  /** Registers the machine, once. */
  async function receive(move: moves.Move, told: Description): Promise<void> {
    const { files } = move
    const lacking = told.layers.find(({ uuid }) => files[uuid] === undefined)
    if (lacking !== undefined) throw new AuthError(`layer ${lacking.uuid} has not come`)
    for (const { uuid } of Object.values(files)) {
      const file = join(folderOf(move.id), uuid)
      if (existsSync(file)) await rename(file, context.layerFile(uuid))
    }
    const here = renameLayers(told, layer => {
      const file = files[layer]
      if (file === undefined) throw new AuthError(`layer ${layer} belongs to no chain`)
      return file.uuid
    })
    await db.transaction(async queries => {
      needQuota(context.quotas, await records.totalsOf(queries, here.machine.owner), sizeOf(here))
      if (!(await insertDescription(queries, here, context.now())))
        throw new ExistsError(`there is a machine ${here.machine.id} or a disk of its name on this host`)
      for (const { uuid, cid } of Object.values(files))
        if (!here.disks.some(({ top }) => top === uuid)) await records.setCid(queries, uuid, cid)
      await moves.updateMove(queries, { ...move, phase: 'received' })
    })
    await rm(folderOf(move.id), { recursive: true, force: true })
    await context.note(here.machine.uuid, 'moved-in', `from ${move.peer}`)
  }

  const handlers: Handlers = {
    async moveBegin({ move: id, command: signed, description }, { peer }) {
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
      if (!machine.active || (await records.machineByUuid(db, machine.uuid)) !== undefined)
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
      const move = await underWay(id, peer)
      const missing: Uuid[] = []
      for (const { layer, bytes, cid } of known) {
        if (!isOf(move, layer)) continue
        const same = await findContent(move.description.machine.owner, bytes, cid)
        if (same === undefined) missing.push(layer)
        else {
          const uuid = randomUUID()
          // it is frozen: two names of one file do as well as two files
          await link(context.layerFile(same), join(folderOf(id), uuid))
          await keep(move, layer, { uuid, cid })
        }
      }
      return { missing }
    },

    async moveLayer({ move: id, layer, bytes, cid }, { peer, received }) {
      const move = await underWay(id, peer)
      if (move.phase !== 'copying' || !isOf(move, layer))
        throw new NotFoundError('the move has no such layer')
      await needRoom(bytes)
      const uuid = randomUUID()
      const file = join(folderOf(id), uuid)
      try {
        if ((await writeChunks(file, bytes, received)) !== cid)
          throw new StorageError(`layer ${layer} came with other content than it was said to have`)
      } catch (error) {
        await rm(file, { force: true })
        throw error
      }
      await keep(move, layer, { uuid, cid })
      return {}
    },

    async moveRelease({ move: id, description, release }, { peer }) {
      const move = await underWay(id, peer)
      const expected = statement(id, peer, wire.self, description)
      const isWhole =
        description.machine.uuid === move.machine &&
        description.machine.owner === move.description.machine.owner &&
        Buffer.compare(expected, release.envelope) === 0 &&
        wire.isSigned(peer, RELEASE_DOMAIN, release.envelope, release.signature)
      if (!isWhole) throw new AuthError('the release does not fit the move')
      if (move.phase !== 'received')
        try {
          await receive(move, description)
        } catch (error) {
          if (!['AuthError', 'ExistsError', 'QuotaError'].includes((error as Error).name)) throw error
          await forget(move)
          throw new NotFoundError(`the machine was refused: ${(error as Error).message}`)
        }
      await context.describe(move.machine)
      power.soon(move.machine)
      return { receipt: wire.sign(RECEIPT_DOMAIN, release.envelope) }
    },

    async moveAbort({ move: id }, { peer }) {
      const move = await underWay(id, peer)
      if (move.phase === 'copying') await forget(move)
      return {}
    }
  }

  /** A layer of this owner, and of nobody else, that has this content. */
  async function findContent(owner: string, bytes: number, cid: string): Promise<Uuid | undefined> {
    for (const layer of await records.frozenLayers(db, owner)) {
      const file = context.layerFile(layer)
      if ((await stat(file)).size !== bytes) continue
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
    async settle(): Promise<void> {
      for (const move of await moves.movesOf(db, 'in', 'copying'))
        if (move.at < context.now() - SILENT_MS) await forget(move)
    }
  }
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
