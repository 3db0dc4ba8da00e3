import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import type { HostOf } from '../../host/index.ts'
import { parseId } from '../core/grammar.ts'
import type { declaration } from '../declaration.ts'
import { ExistsError, NotFoundError, StateError, StorageError } from '../errors.ts'
import type { Context } from '../machines/context.ts'
import type { Power } from '../machines/power.ts'
import { TUNNEL_BYTES } from './messages.ts'

const MOST = 64
const LOOPBACK = '127.0.0.1'

/** A port of this computer behind which there is a port of a guest. */
export interface Forward {
  local: number
  vm: string
  port: number
  /** peer id of the machine’s host */
  host: string
}

type Piece = { bytes: Uint8Array }

/** Ports of guests, for whoever may type into their consoles; on loopback only. */
export function createForwards(
  host: HostOf<typeof declaration>,
  { context, power }: { context: Context; power: Power }
) {
  const open = new Map<number, { forward: Forward; server: Server; sockets: Set<Socket> }>()

  /** @throws NotFoundError, ForbiddenError, StateError where the machine does not run or has no network */
  async function enter(caller: string, vm: string, port: number): Promise<Duplex> {
    const machine = await context.find(caller, parseId(vm), 'forward')
    const handle = power.live(machine.uuid)
    if (handle.link !== undefined) return handle.link.connect(port)
    const needed =
      machine.spec.hasNetwork === true ? 'start it first' : `it has no network: artel vm network ${vm} on`
    throw new StateError(machine.id, handle.state(machine), needed)
  }

  async function carry(socket: Socket, { host: to, vm, port }: Forward): Promise<void> {
    if (to === host.peers.self) {
      const guest = await enter(to, vm, port)
      await Promise.all([pipeline(socket, guest), pipeline(guest, socket)])
      return
    }
    const gone = new AbortController()
    const signal = AbortSignal.any([host.signal, gone.signal])
    const exchange = host.peers.open(to, 'tunnel', { vm, port }, { signal })
    exchange.answer.catch(() => {}) // awaited below
    try {
      await Promise.all([
        send(socket, exchange.send).then(() => exchange.end()),
        receive(exchange.items, socket)
      ])
      await exchange.answer
    } finally {
      gone.abort()
    }
  }

  return {
    /** The host’s side of a connection of a peer. */
    async tunnel(
      { vm, port }: { vm: string; port: number },
      call: {
        peer: string
        signal: AbortSignal
        send(piece: Piece): Promise<void>
        received: AsyncIterable<Piece>
      }
    ): Promise<Record<string, never>> {
      const guest = await enter(call.peer, vm, port)
      const stop = () => void guest.destroy()
      call.signal.addEventListener('abort', stop, { once: true })
      try {
        await Promise.all([
          send(guest, call.send).then(() => call.send({ bytes: new Uint8Array() })),
          receive(call.received, guest)
        ])
      } finally {
        call.signal.removeEventListener('abort', stop)
        guest.destroy()
      }
      return {}
    },

    /** @param local 0 for any that is free. @throws StorageError where the port cannot be had */
    async open({ vm, port, local, host: to = host.peers.self }: Omit<Forward, 'host'> & { host?: string }) {
      if (open.size >= MOST) throw new ExistsError(`${MOST} ports are forwarded already; close some first`)
      const id = parseId(vm)
      const sockets = new Set<Socket>()
      // each side may say that it sends no more, and still listen
      const server = createServer({ allowHalfOpen: true })
      server.listen(local, LOOPBACK)
      await once(server, 'listening').catch(cause => {
        throw new StorageError(`port ${local} of this computer cannot be had: ${cause.code}`, { cause })
      })
      const forward = { local: (server.address() as { port: number }).port, vm: id, port, host: to }
      server.on('connection', socket => {
        sockets.add(socket)
        socket.on('error', () => {}) // who reads it sees it
        socket.once('close', () => sockets.delete(socket))
        carry(socket, forward)
          .catch((error: Error) => host.log('port %d of %s: %s', port, vm, error.message))
          .finally(() => socket.destroy())
      })
      open.set(forward.local, { forward, server, sockets })
      return forward
    },

    list: (): Forward[] => [...open.values()].map(({ forward }) => forward),

    /** @throws NotFoundError */
    close(local: number): void {
      const found = open.get(local)
      if (found === undefined) throw new NotFoundError(`port ${local} of this computer leads to no guest`)
      open.delete(local)
      found.server.close()
      for (const socket of found.sockets) socket.destroy()
    }
  }
}

async function send(from: Duplex, to: (piece: Piece) => Promise<void>): Promise<void> {
  for await (const chunk of from as AsyncIterable<Buffer>)
    for (let at = 0; at < chunk.length; at += TUNNEL_BYTES)
      await to({ bytes: chunk.subarray(at, at + TUNNEL_BYTES) })
}

/**
 * Until all that came is out of this process: who closes `to` then takes nothing back. An empty piece says that there
 * are no more, before the exchange has ended.
 */
export async function receive(pieces: AsyncIterable<Piece>, to: Duplex): Promise<void> {
  const written = finished(to, { readable: false })
  written.catch(() => {}) // awaited below
  for await (const { bytes } of pieces)
    if (bytes.length === 0) to.end()
    else if (!to.write(bytes)) await Promise.race([once(to, 'drain'), written])
  to.end()
  await written
}
