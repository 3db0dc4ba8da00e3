import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Adb, AdbDaemonTransport, AdbPublicKeyAuthenticator, AdbSignatureAuthenticator } from '@yume-chan/adb'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { TvDownError, TvProtocolError } from '../errors.ts'
import { within } from './deadline.ts'
import type { AdbKey } from './key.ts'
import { packetsOn } from './packets.ts'
import { tlsOptions } from './tls.ts'

/** A connection that the TV let in. */
export interface Session extends Disposable {
  adb: Adb
  socket: Socket
  /** resolves with why it ended */
  gone: Promise<Error>
}

export interface SessionInit {
  host: string
  port: number
  key: AdbKey
  /** ms for each step */
  deadlineMs: number
  /** shows the key on the screen, where the TV does not know it; ms until somebody has allowed it */
  pairMs?: number
  onTcp(): void
  signal: AbortSignal
}

/** @throws {TvDownError | TvOverdueError | TvProtocolError} */
export async function openSession(init: SessionInit): Promise<Session> {
  const { host, port, key, deadlineMs, pairMs, signal } = init
  const place = `${host}:${port}`
  signal.throwIfAborted()
  checkWayOut()
  const socket = connect({ host, port, noDelay: true })
  // it is told by the streams and by `gone`; without a listener what comes late would end the node
  socket.on('error', () => undefined)
  const onAbort = (): void => void socket.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', onAbort))
  try {
    await within(deadlineMs, `nothing has answered at ${place}`, () => once(socket, 'connect')).catch(
      (error: Error) => {
        throw error.name === 'TvOverdueError' ? error : new TvDownError(`${place}: ${error.message}`)
      }
    )
    init.onTcp()
    const isPairing = pairMs != null
    let isSecure = false
    const secure = (plain: Socket): Socket => {
      isSecure = true
      return connectTls({ socket: plain, ...tlsOptions(key) })
    }
    const transport = await within(
      pairMs ?? deadlineMs,
      isPairing ? `nobody allowed "${key.name}" on the screen` : `the daemon of ${place} has not answered`,
      () =>
        AdbDaemonTransport.authenticate({
          serial: place,
          connection: packetsOn(socket, secure),
          credentialStore: {
            iterateKeys: () => [key],
            generateKey: () => key
          },
          authenticators: isPairing
            ? [AdbSignatureAuthenticator, AdbPublicKeyAuthenticator]
            : [AdbSignatureAuthenticator],
          initialDelayedAckBytes: 0
        })
    ).catch((error: Error) => {
      throw namedError(error, socket, place, isSecure)
    })
    const gone = transport.disconnected.then(
      () => endOf(socket, place),
      () => endOf(socket, place)
    )
    return {
      adb: new Adb(transport),
      socket,
      gone,
      [Symbol.dispose]: () => void socket.destroy()
    }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

const endOf = (socket: Socket, place: string): Error =>
  socket.errored instanceof TvProtocolError ? socket.errored : new TvDownError(`the TV at ${place} went away`)

/** What the library throws has no name of its own. */
function namedError(error: Error, socket: Socket, place: string, isSecure: boolean): Error {
  if (error.name.startsWith('Tv')) return error
  if (socket.errored instanceof TvProtocolError) return socket.errored
  const isStranger = `the TV at ${place} does not know this node's key; artel tv pair`
  // who is not let in learns it after his part of the handshake: an alert of TLS, or just the end
  if (isSecure)
    return new TvDownError(
      `${isStranger} with --code and --pair-port makes it known: ${(error as NodeJS.ErrnoException).code ?? error.message}`
    )
  if (error.message.startsWith('No authenticator'))
    return new TvDownError(`${isStranger} shows it on the screen`)
  return new TvDownError(`${place}: ${error.message}`)
}
