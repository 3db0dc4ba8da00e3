import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createIdentity } from '../../bootstrap/index.ts'
import { devices, OWNER } from '../../services/index.ts'
import { driverOf } from '../../test/services/devices/driver-of.ts'
import { createTestDirectory, startHost } from '../../test/services/host/start-host.ts'

export const TEXT = 'x'.repeat(200)
const DEADLINE_MS = 240_000
/** What the device under load says. */
const EVENTS_PER_S = 100
const TICK_MS = 10
/** Written at once, where time is not what is measured. */
const AT_ONCE = 20_000

interface Status {
  own: { last: number; delivered: number }
  witnesses: { peer: string; seq: number }[]
  bytes: number
}

/** An agent with a device, and two witnesses, of which each is there once it has joined. */
export async function openWitnessed(folder: string) {
  await using started = new AsyncDisposableStack()
  const directory = createTestDirectory()
  const identities = await Promise.all([createIdentity(), createIdentity()])
  const witness = async (i: number) =>
    startHost({
      modules: [devices],
      settings: { devices: { allowedPeers: ['*'] } },
      directory,
      folder: join(folder, `witness-${i}`),
      identity: identities[i]!
    })
  const { driver, opened } = driverOf({
    kind: 'bench',
    serial: '1',
    name: 'bench',
    readings: {},
    events: { said: { class: 'event' } }
  })
  const witnessPeers = identities.map(({ peerId }) => peerId.toString())
  const agent = started.use(
    await startHost({
      modules: [devices, driver],
      settings: { devices: { witnessPeers } },
      directory,
      folder: join(folder, 'agent')
    })
  )
  const device = await opened
  const status = () => agent.services.call('devices', 'status', {}, { caller: OWNER }) as Promise<Status>
  const parts = started.move()
  return {
    /** The witness is there from now on. */
    async join(i: 0 | 1): Promise<void> {
      await agent.connect(parts.use(await witness(i)))
    },
    write: (count: number) =>
      Promise.all(Array.from({ length: count }, (_, n) => device.event('said', { n, text: TEXT }))),
    status,
    async until(isSo: (status: Status) => boolean): Promise<void> {
      const end = Date.now() + DEADLINE_MS
      while (!isSo(await status())) {
        if (Date.now() > end)
          throw new Error(`not within ${DEADLINE_MS} ms: ${JSON.stringify(await status())}`)
        await delay(5)
      }
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync()
  }
}

/**
 * Both witnesses were away while a device said what it says in `seconds`, and it goes on meanwhile: seconds caught up with
 * in one second.
 */
export async function caughtUpUnderLoad(folder: string, seconds: number): Promise<number> {
  await using fleet = await openWitnessed(folder)
  for (let left = seconds * EVENTS_PER_S; left > 0; left -= AT_ONCE)
    await fleet.write(Math.min(left, AT_ONCE))
  const begun = performance.now()
  const writes: Promise<unknown>[] = []
  let said = 0
  const saying = setInterval(() => {
    const due = Math.floor(((performance.now() - begun) * EVENTS_PER_S) / 1000)
    if (due > said) writes.push(fleet.write(due - said))
    said = due
  }, TICK_MS)
  try {
    await Promise.all([fleet.join(0), fleet.join(1)])
    await fleet.until(({ own }) => own.delivered === own.last)
    const tookS = (performance.now() - begun) / 1000
    await Promise.all(writes)
    return seconds / tookS
  } finally {
    clearInterval(saying)
  }
}
