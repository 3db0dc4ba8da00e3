import { createHash, randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PeerError } from '../../host/index.ts'
import type { Machine, Memory, Uuid } from '../contract.ts'
import type { Signed } from '../core/command.ts'
import { parseId } from '../core/grammar.ts'
import { RECEIPT_DOMAIN, RELEASE_DOMAIN, statement } from '../core/statement.ts'
import { AuthError, StateError, StorageError, UsageError } from '../errors.ts'
import { type Chunk, chunksOf, cidOf, contentOf } from '../machines/content.ts'
import type { Machines } from '../machines/create-machines.ts'
import { type Description, describeMachine, description } from '../machines/description.ts'
import { DEVICES_MB, processorOf, STATE_MS, shapeOf } from '../machines/memory.ts'
import { migrateOut } from '../qemu/migration.ts'
import * as moves from '../store/moves.ts'
import * as records from '../store/records.ts'
import type { MoveWire } from './move-wire.ts'

const MB = 2 ** 20
/** A guest that writes faster than can be sent runs on for no longer. */
const RUNS_ON_MS = 30_000

export interface MovesOut {
  /**
   * Gives a machine to another host; one that runs is stopped for its last bytes and runs on there.
   * @param command the owner’s command as he signed it
   * @returns `released` where the other host fell silent at the end: it is asked until it answers
   */
  move(owner: string, id: string, to: string, command: Signed): Promise<'moved' | 'released'>
  /** Ends what was begun by an earlier run, and asks again who was silent. */
  settle(): Promise<void>
}

export function createMovesOut({ context, power, snapshots, trash }: Machines, wire: MoveWire): MovesOut {
  const { database: db } = context

  /** Content of a frozen layer: looked at once. */
  async function known(layer: Uuid): Promise<{ layer: Uuid; bytes: number; cid: string }> {
    const file = context.layerFile(layer)
    const cid = await records.cidOf(db, layer)
    if (cid !== undefined) return { layer, bytes: (await stat(file)).size, cid }
    const content = await contentOf(file)
    await records.setCid(db, layer, content.cid)
    return { layer, ...content }
  }

  async function copy(move: moves.Move, command: Signed): Promise<void> {
    const told = move.description
    const later = new Set([...told.disks.map(({ top }) => top), told.memory?.layer])
    const frozen = told.layers.filter(({ uuid }) => !later.has(uuid))
    await wire.ask(move.peer, 'moveBegin', { move: move.id, command, description: told })
    const contents: Awaited<ReturnType<typeof known>>[] = []
    for (const { uuid } of frozen) contents.push(await known(uuid))
    const answer = await wire.ask(move.peer, 'moveKnown', { move: move.id, known: contents })
    const missing = new Set(answer.missing)
    for (const content of contents.filter(({ layer }) => missing.has(layer)))
      await wire.send(move.peer, { move: move.id, ...content }, chunksOf(context.layerFile(content.layer)))
  }

  /** What is written to until the guest stands still. */
  async function copyLast({ id, peer, description: { disks } }: moves.Move): Promise<void> {
    for (const { top: layer } of disks) {
      const file = context.layerFile(layer)
      const content = await contentOf(file)
      await wire.send(peer, { move: id, layer, ...content }, chunksOf(file))
    }
  }

  /** While the guest runs; it stands still for the last of it, and for all that is left where it writes too much. */
  async function copyMemory({ id, machine, peer }: moves.Move, memory: Memory): Promise<void> {
    const handle = power.live(machine)
    const ram = memory.ramMb * MB
    const hash = createHash('sha256')
    async function* pieces(state: AsyncIterable<Buffer>): AsyncGenerator<Chunk> {
      const deadline = Date.now() + RUNS_ON_MS
      let at = 0
      let runs = true
      for await (const bytes of state) {
        if (runs && (at > 2 * ram || Date.now() > deadline)) {
          runs = false
          await handle.ask('stop')
        }
        hash.update(bytes)
        yield { at, bytes }
        at += bytes.length
      }
    }
    const request = { move: id, layer: memory.layer, bytes: 3 * ram + DEVICES_MB * MB }
    await migrateOut(
      handle,
      join(context.machineFolder(machine), 'run'),
      async state => {
        if ((await wire.send(peer, request, pieces(state))) !== cidOf(hash))
          throw new StorageError('the memory of the guest came with other content than was sent')
      },
      STATE_MS
    )
  }

  /** As it is now; of one that runs also the memory that it will have when it stands still. */
  async function describe(machine: Uuid, isRunning: boolean): Promise<Description> {
    const current = (await records.machineByUuid(db, machine))!
    const told = await describeMachine(db, machine)
    if (!isRunning) return told
    const shape = await shapeOf(power.live(machine), current)
    const memory = { ...shape, layer: randomUUID(), processor: processorOf(context) }
    return { ...told, memory, layers: [...told.layers, { uuid: memory.layer }] }
  }

  /** From here on it does not run here, whatever ends whom. */
  async function release(move: moves.Move, machine: Machine): Promise<void> {
    await db.transaction(async queries => {
      // what the other side could not read would be lost on the way
      const told = await describeMachine(queries, machine.uuid)
      const { memory } = move.description
      const layers = memory === undefined ? told.layers : [...told.layers, { uuid: memory.layer }]
      move.description = description.parse({ ...told, layers, memory })
      move.phase = 'released'
      await records.retireMachine(queries, machine.uuid, context.now())
      await moves.updateMove(queries, move)
    })
  }

  async function finish(move: moves.Move): Promise<'moved' | 'released'> {
    const { id, peer, description: told, machine } = move
    const envelope = statement(id, wire.self, peer, told)
    const signed = { envelope, signature: wire.sign(RELEASE_DOMAIN, envelope) }
    try {
      const { receipt } = await wire.ask(peer, 'moveRelease', {
        move: id,
        description: told,
        release: signed
      })
      if (!wire.isSigned(peer, RECEIPT_DOMAIN, envelope, receipt))
        throw new AuthError(`${peer} gave no receipt for machine ${told.machine.id}`)
      await context.note(machine, 'moved', `to ${peer}, receipt ${Buffer.from(receipt).toString('base64')}`)
    } catch (error) {
      context.log('machine %s is released to %s: %s', machine, peer, (error as Error).message)
      // the one answer that says that it will never run there
      if (error instanceof PeerError && error.name === 'NotFoundError') {
        await takeBack(move)
        throw error
      }
      return 'released'
    }
    await trash.purge(machine, { keepsRow: false })
    await moves.deleteMove(db, id, 'released')
    return 'moved'
  }

  async function takeBack({ id, machine, description: told }: moves.Move): Promise<void> {
    await db.transaction(async queries => {
      if (!(await moves.deleteMove(queries, id, 'released'))) return
      // a new one of this name was made meanwhile: this one stays in the trash
      if ((await records.ownMachine(queries, told.machine.owner, told.machine.id)) !== undefined) return
      if ((await records.reviveMachine(queries, machine)) !== undefined) return
      const { desired, authenticated } = told.machine
      await records.updateMachine(queries, machine, { desired, authenticated })
    })
    await context.describe(machine)
    await context.note(machine, 'move-refused')
  }

  async function abandon({ id, peer }: moves.Move): Promise<void> {
    if (!(await moves.deleteMove(db, id, 'copying'))) return
    // it forgets by itself where it does not hear of it
    await wire
      .ask(peer, 'moveAbort', { move: id })
      .catch((error: Error) => context.log('%s was not told of the end of a move: %s', peer, error.message))
  }

  return {
    async move(owner, word, to, command) {
      const id = parseId(word)
      const machine = await context.find(owner, id, 'move')
      if (to === wire.self) throw new UsageError(`machine ${id} is on this host already`)
      return context.hold(owner, machine, 'move', async () => {
        const handle = power.live(machine.uuid)
        const wasOn = handle.observe().isAlive
        if (wasOn && handle.observe().qmp === 'silent')
          throw new StateError(id, handle.state(machine), 'stop it first')
        handle.operation = 'move'
        try {
          const move: moves.Move = {
            ...{ id: randomUUID(), machine: machine.uuid, direction: 'out', peer: to, phase: 'copying' },
            ...{ description: await describeMachine(db, machine.uuid), files: {}, at: context.now() }
          }
          await moves.insertMove(db, move)
          try {
            // what is frozen can be copied while the guest goes on
            if (wasOn) await snapshots.freeze(machine)
            const isRunning = handle.observe().qmp === 'running'
            move.description = await describe(machine.uuid, isRunning)
            await moves.updateMove(db, move)
            await copy(move, command)
            const { memory } = move.description
            if (memory === undefined) await power.shutDown(machine, false)
            else await copyMemory(move, memory)
            await copyLast(move)
            await handle.end(true)
            await release(move, machine)
          } catch (error) {
            await abandon(move)
            const current = (await records.machineByUuid(db, machine.uuid))!
            if (wasOn && current.active) {
              if (!handle.observe().isAlive) await power.launch(current)
              else if (current.desired === 'running') await handle.ask('cont')
            }
            throw error
          }
          await context.describe(machine.uuid)
          return await finish(move)
        } finally {
          handle.operation = undefined
        }
      })
    },
    async settle() {
      for (const phase of ['copying', 'released'] as const)
        for (const move of await moves.movesOf(db, 'out', phase)) {
          if (isUnderWay(move)) continue
          if (phase === 'copying') await abandon(move)
          else
            await finish(move).catch((error: Error) => context.log('a move was refused: %s', error.message))
        }
    }
  }

  /** Of this run of the node: its machine is held by it. */
  function isUnderWay({ machine }: moves.Move): boolean {
    return power.live(machine).operation === 'move'
  }
}
