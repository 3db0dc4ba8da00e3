import { once } from 'node:events'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { LineError } from '../errors.ts'
import { tcpOf } from './name.ts'

const OPEN_MS = 5_000

/** Opens a serial device, or what stands behind tcp://host:port. @throws {LineError} */
export async function openTransport(name: string, baudRate: number, signal: AbortSignal): Promise<Duplex> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)])
  const address = tcpOf(name)
  try {
    checkWayOut()
    if (address != null) {
      const socket = connect(address)
      socket.setNoDelay(true)
      return await opened(socket, 'connect', limit)
    }
    const { SerialPort } = await import('serialport')
    return await opened(new SerialPort({ path: name, baudRate, hupcl: false }), 'open', limit)
  } catch (error) {
    throw new LineError(`${name} cannot be opened: ${(error as Error).message}`)
  }
}

async function opened(stream: Duplex, event: string, signal: AbortSignal): Promise<Duplex> {
  try {
    await once(stream, event, { signal })
    return stream
  } catch (error) {
    stream.on('error', () => undefined /* told already */).destroy()
    throw error
  }
}
