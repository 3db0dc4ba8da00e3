import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { decodeValue, encodeValue } from '../sandbox/value.ts'
import { ConfigError, ControlError, RemoteError } from './errors.ts'
import { storageFault } from './examine-data.ts'
import { type CallRequest, type NodeOperations, type Operations, operationsOver } from './operations.ts'

/*
 * The control socket of a running node: a Unix socket in its data folder that only the owner may open. Requests and answers are
 * lines of JSON: { id, service, operation, input } → any number of { id, event }, then { id, output } or
 * { id, error: { name, message } }; input, event and output are canonical values (sandbox/value.ts) in base64. Closing
 * the connection ends the waiting, not the job.
 */

/** Unix allows 107 bytes for the path of a socket. */
const MAX_PATH_BYTES = 107
const CONNECT_TIMEOUT_MS = 10_000

interface Request extends Omit<CallRequest, 'input'> {
  id: number
  input: string
}

type Answer =
  | { id: number; event: string }
  | { id: number; output: string }
  | { id: number; error: { name: string; message: string } }

export function controlPath(folder: string): string {
  return join(folder, 'control.sock')
}

/**
 * Serves the operations until the returned function is called. The folder must be locked by this process.
 *
 * @throws {ConfigError} the path is too long for a socket
 */
export async function serveControl(
  folder: string,
  operations: Pick<NodeOperations, 'encodedCall'>
): Promise<() => Promise<void>> {
  const path = controlPath(folder)
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new ConfigError(
      `data: ${folder} is too long a path, a socket in it may have ${MAX_PATH_BYTES} bytes; choose a shorter one with --data`
    )
  }
  // left over by a kill −9; nobody else runs here, we hold the lock
  await rm(path, { force: true })
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    serve(socket, folder, operations)
  })
  server.listen(path)
  await once(server, 'listening')
  await chmod(path, 0o600)
  return async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  }
}

function serve(socket: Socket, folder: string, operations: Pick<NodeOperations, 'encodedCall'>): void {
  const gone = new AbortController()
  socket.once('close', () => gone.abort(new ControlError('the client has gone')))
  const send = (answer: Answer): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`)
  }
  onLines(socket, async line => {
    let id = 0
    try {
      const request = JSON.parse(line) as Request
      id = request.id
      const { service, operation, input } = request
      const onProgress = (event: unknown): void => send({ id, event: toText(event) })
      const output = await operations.encodedCall(
        { service, operation, input: fromText(input) },
        { onProgress, signal: gone.signal }
      )
      send({ id, output: base64(output) })
    } catch (error) {
      const { name, message } = storageFault(error as Error, folder)
      send({ id, error: { name, message } })
    }
  })
}

/**
 * The lines that come over a socket, ended by \n and nothing else: JSON lets U+2028 stand in a text, and readline ends a
 * line there. An end that vanished is no news: 'close' tells whoever waits.
 */
function onLines(socket: Socket, onLine: (line: string) => void): void {
  socket.on('error', () => socket.destroy())
  socket.setEncoding('utf8')
  let rest: string[] = []
  socket.on('data', (text: string) => {
    const [first, ...others] = text.split('\n')
    rest.push(first!)
    for (const start of others) {
      onLine(rest.join(''))
      rest = [start]
    }
  })
}

/** The operations of the node that runs in `folder`. */
export interface ControlClient extends Operations {
  close(): void
}

/**
 * Connects to the node that runs in `folder`.
 *
 * @throws {ControlError} there is none, or it does not answer
 */
export async function connectControl(folder: string): Promise<ControlClient> {
  const socket = createConnection(controlPath(folder))
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) })
  } catch (error) {
    socket.destroy()
    throw new ControlError(
      `no node is running in ${folder} (${(error as NodeJS.ErrnoException).code ?? (error as Error).name}); start one with: artel start`
    )
  }
  return createClient(socket)
}

function createClient(socket: Socket): ControlClient {
  const pending = new Map<number, { done: PromiseWithResolvers<never>; onEvent?: (event: never) => void }>()
  let next = 1
  const fail = (): void => {
    for (const { done } of pending.values())
      done.reject(new ControlError('the node has stopped while it worked'))
    pending.clear()
  }
  socket.on('close', fail)
  onLines(socket, line => {
    const answer = JSON.parse(line) as Answer
    const call = pending.get(answer.id)
    if (call == null) return
    if ('event' in answer) {
      call.onEvent?.(fromText(answer.event) as never)
      return
    }
    pending.delete(answer.id)
    if ('error' in answer) call.done.reject(new RemoteError(answer.error.name, answer.error.message))
    else call.done.resolve(fromText(answer.output) as never)
  })
  return {
    ...operationsOver(async ({ input, ...request }, { onProgress, signal } = {}) => {
      signal?.throwIfAborted()
      const id = next++
      const line = JSON.stringify({ id, ...request, input: toText(input) } satisfies Request)
      const done = Promise.withResolvers<never>()
      pending.set(id, { done, ...(onProgress == null ? {} : { onEvent: onProgress }) })
      const onAbort = (): void => done.reject(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      socket.write(`${line}\n`)
      return done.promise.finally(() => {
        pending.delete(id)
        signal?.removeEventListener('abort', onAbort)
      })
    }),
    close: () => socket.destroy()
  }
}

const base64 = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64')
const toText = (value: unknown): string => base64(encodeValue(value))
const fromText = (text: string): unknown => decodeValue(Buffer.from(text, 'base64'))
