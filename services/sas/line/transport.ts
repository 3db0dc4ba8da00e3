import { once } from 'node:events'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SerialPort } from 'serialport'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { LineError } from '../errors.ts'
import { tcpOf } from './name.ts'
import type { ByParity } from './parity.ts'
import type { ParityState } from './parity-port.ts'

const CONNECT_MS = 5_000
/** so late a busy board has read what opens a serial device, or begun a thread of its own */
const BEGIN_MS = 30_000

/**
 * Opens a serial device, or what stands behind tcp://host:port. With `parity` a serial device sends the wake-up bit by its
 * parity; what is written is coded in band all the same.
 *
 * @throws {LineError}
 */
export async function openTransport(
  name: string,
  baudRate: number,
  signal: AbortSignal,
  parity?: { by: ByParity } & ParityState
): Promise<Duplex> {
  const within = (ms: number): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(ms)])
  const address = tcpOf(name)
  try {
    checkWayOut()
    if (address != null) {
      const socket = connect(address)
      socket.setNoDelay(true)
      return await opened(socket, 'connect', within(CONNECT_MS))
    }
    const serial = await import('serialport')
    const port = new serial.SerialPort({ path: name, baudRate, hupcl: false })
    closeWhenDestroyed(port)
    await opened(port, 'open', within(BEGIN_MS))
    if (parity == null) return port
    const { openParityPort } = await import('./parity-port.ts')
    return await openParityPort(port, { name, baudRate, ...parity }, within(BEGIN_MS))
  } catch (error) {
    throw new LineError(`${name} cannot be opened: ${(error as Error).message}`)
  }
}

/** By itself it keeps the device open then, and locked for whoever opens it next. */
function closeWhenDestroyed(port: SerialPort): void {
  port._destroy = (error, done) => {
    if (port.isOpen) return port.close(() => done(error))
    if (port.opening) port.once('open', () => port.close())
    done(error)
  }
}

async function opened<T extends Duplex>(stream: T, event: string, signal: AbortSignal): Promise<T> {
  try {
    await once(stream, event, { signal })
    return stream
  } catch (error) {
    stream.on('error', () => undefined /* told already */).destroy()
    throw error
  }
}
