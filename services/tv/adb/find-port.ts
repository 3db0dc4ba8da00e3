import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import dnsPacket from 'dns-packet'
import { raceSignal } from 'race-signal'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { TvDownError } from '../errors.ts'

const SERVICE = '_adb-tls-connect._tcp.local'
const MDNS = 5353
const GROUP = '224.0.0.251'
/** of what gets lost */
const AGAIN_MS = 500
const MAX_NAMES = 8

/** Who is asked: the TV itself, and the group, as not every TV answers what is for it alone. */
const asked = (host: string): { address: string; port: number }[] =>
  [host, GROUP].map(address => ({ address, port: MDNS }))

/**
 * Asks by mDNS at which port a TV with wireless debugging takes connections: it is another after each of its starts. Only
 * what the TV itself says counts, and whoever sits there has to be the TV that knows the key, as at a port that is set.
 *
 * @throws {TvDownError} it says none in time
 */
export async function findPort(
  host: string,
  deadlineMs: number,
  signal: AbortSignal,
  to: readonly { address: string; port: number }[] = asked(host)
): Promise<number> {
  checkWayOut()
  const over = new AbortController()
  const until = AbortSignal.any([signal, over.signal, AbortSignal.timeout(deadlineMs)])
  const found = Promise.withResolvers<number>()
  found.promise.catch(() => undefined /* told to whoever waits */)
  /** that it calls itself, where its port has not come with them */
  const names = new Set<string>()
  const socket = createSocket('udp4')
  socket.on('error', found.reject)
  socket.on('message', (bytes, { address }) => {
    if (address !== host) return
    const said = readAnswer(bytes)
    if (said.port != null) found.resolve(said.port)
    for (const name of said.names) if (names.size < MAX_NAMES) names.add(name)
  })

  async function ask(): Promise<void> {
    for (;;) {
      const query = dnsPacket.encode({
        type: 'query',
        questions: [
          { type: 'PTR', name: SERVICE },
          ...[...names].map(name => ({ type: 'SRV' as const, name }))
        ]
      })
      // one that cannot be reached is asked again
      for (const { address, port } of to) socket.send(query, port, address, () => undefined)
      await delay(AGAIN_MS, undefined, { signal: until })
    }
  }

  try {
    socket.bind()
    await once(socket, 'listening', { signal: until })
    const asking = ask()
    asking.catch(() => undefined /* it ends */)
    return await raceSignal(found.promise, until)
  } catch (error) {
    signal.throwIfAborted()
    throw new TvDownError(
      `${host} says no port of wireless debugging within ${deadlineMs} ms; is it switched on there? (${(error as Error).message})`
    )
  } finally {
    over.abort()
    socket.close()
  }
}

/** What a message of mDNS says of it: nothing where it is none. Pure. */
export function readAnswer(bytes: Uint8Array): { port?: number; names: string[] } {
  const names: string[] = []
  const isOne = (name: string): boolean => name.toLowerCase().endsWith(`.${SERVICE}`)
  try {
    const { type, answers = [], additionals = [] } = dnsPacket.decode(Buffer.from(bytes))
    if (type !== 'response') return { names }
    for (const each of [...answers, ...additionals]) {
      if (each.type === 'SRV' && isOne(each.name) && each.data.port > 0)
        return { port: each.data.port, names }
      if (each.type === 'PTR' && isOne(each.data)) names.push(each.data)
    }
  } catch {
    // no such message
  }
  return { names }
}
