import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { QemuError } from '../errors.ts'
import type { Live } from '../machines/live.ts'
import { INSIDE } from './arguments.ts'
import { needSocket } from './qmp.ts'

/** Bytes a second that QEMU may send; its own default is slow. */
const BANDWIDTH = 2 ** 40
const CONNECT_MS = 10_000
const LOOK_MS = 20
/** what a stream says whose other end has closed */
const CLOSED: ReadonlySet<string | undefined> = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'EPIPE', 'ECONNRESET'])

/** The state of a running guest as a stream, through a socket in the folder of its machine. */
const SOCKET = 'migrate.sock'

/**
 * Takes the state out. Afterwards the guest stands still; `cont` lets it go on.
 * @param ms of the whole
 * @throws QemuError, and what `sink` throws
 */
export async function migrateOut(
  handle: Pick<Live, 'ask'>,
  run: string,
  sink: (state: AsyncIterable<Buffer>) => Promise<void>,
  ms: number
): Promise<void> {
  const path = join(run, SOCKET)
  await rm(path, { force: true })
  const server = createServer({ allowHalfOpen: true })
  server.listen(path)
  await once(server, 'listening')
  const signal = AbortSignal.timeout(ms)
  try {
    const connected = once(server, 'connection', { signal: AbortSignal.timeout(CONNECT_MS) })
    connected.catch(() => {}) // whoever waits for it below sees it
    await handle.ask('migrate-set-parameters', { 'max-bandwidth': BANDWIDTH })
    await handle.ask('migrate', { uri: `unix:${INSIDE.run}/${SOCKET}` })
    const [socket] = (await connected) as [Socket]
    signal.addEventListener('abort', () => socket.destroy(new QemuError(`no state within ${ms} ms`)))
    try {
      await sink(socket)
      await settled(handle, signal)
    } catch (error) {
      await handle.ask('migrate_cancel').catch(() => {}) // the first error tells more
      throw error
    } finally {
      // else the deadline, minutes later, ends the process by an error that nobody waits for
      socket.destroy()
    }
  } finally {
    server.close()
    await rm(path, { force: true })
  }
}

/**
 * Puts the state into a machine that was launched to wait for one. Afterwards the guest stands still.
 * @throws QemuError where it does not fit
 */
export async function migrateIn(
  handle: Pick<Live, 'ask'>,
  run: string,
  state: Readable,
  ms: number
): Promise<void> {
  const signal = AbortSignal.timeout(ms)
  await handle.ask('migrate-incoming', { uri: `unix:${INSIDE.run}/${SOCKET}` })
  const path = join(run, SOCKET)
  needSocket(path)
  const socket = connect({ path })
  await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) })
  // QEMU closes as soon as it has the end, which may be before the end of a file is seen here; it says itself what it has
  await pipeline(state, socket, { signal }).catch((error: NodeJS.ErrnoException) => {
    if (!CLOSED.has(error.code)) throw error
  })
  await settled(handle, signal)
}

/** Waits for QEMU's word that the state is out, or in. */
async function settled(handle: Pick<Live, 'ask'>, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { status, 'error-desc': why } = await handle.ask<{ status?: string; 'error-desc'?: string }>(
      'query-migrate'
    )
    if (status === 'completed') return
    if (status === 'failed' || status === 'cancelled')
      throw new QemuError(`QEMU: the state of the guest was lost: ${why ?? status}`)
    if (signal.aborted) throw new QemuError('QEMU: the state of the guest took too long')
    await wait(LOOK_MS)
  }
}
