import { randomUUID } from 'node:crypto'
import { createActs } from './acts.ts'
import { findPort } from './adb/find-port.ts'
import type { AdbKey } from './adb/key.ts'
import { type Lamp, type Link, openLink } from './adb/link.ts'
import { commandLine } from './adb/quote.ts'
import type { ScreenFault } from './campaigns/watch-screen.ts'
import type { Values } from './condition.ts'
import type { Devices, Files } from './context.ts'
import { createLive, type Live } from './live/live.ts'
import type { TvOperation } from './operations/contract.ts'
import { type Answer, type Args, perform, verify } from './operations/perform.ts'
import type { TvPlace } from './place.ts'
import { BASE } from './profiles/base.ts'
import { type Profile, readState } from './profiles/profile.ts'
import type { Relay } from './relay.ts'
import { createTelemetry } from './telemetry.ts'

type Device = Awaited<ReturnType<Devices['open']>>
type Kind = 'command' | 'link' | 'booking' | 'assigned' | 'showing' | 'screen' | 'trigger' | 'repair'
type Body = Parameters<Device['event']>[1]

/** A TV of this node. */
export interface Tv {
  readonly place: TvPlace
  /** tags and name: what selectors look at */
  readonly about: Readonly<Record<string, string>>
  readonly link: Link
  readonly lamp: Lamp
  readonly reason: string | undefined
  /** as last read */
  readonly readings: Values
  perform(operation: TvOperation, args: Args, signal: AbortSignal): Promise<Answer & { picture?: Uint8Array }>
  /** Reads everything with one call, and writes what has changed. */
  look(signal?: AbortSignal): Promise<Values>
  note(kind: Kind, body: Body): Promise<void>
  /** its screen while somebody watches */
  readonly live: Live
  /** what of its pictures ails it, as its profile says */
  readonly faults: readonly ScreenFault[]
  /** What this node itself knows of it, beside what it is asked. */
  say(values: Values): Promise<void>
  /** What was measured since `from`, ms since 1970. */
  samples(from: number): ReturnType<Device['samples']>
  /** counts up whenever it goes away: another one can stand there then */
  readonly generation: number
  close(): void
}

export interface TvInit {
  place: TvPlace
  key: AdbKey
  profiles: readonly (Profile & { model: string })[]
  devices: Devices
  /** what the fleet can do with it */
  commands: Parameters<Devices['open']>[0]['commands']
  files: Files
  relay?: Relay
  deadlineMs: number
  now(): number
  signal: AbortSignal
}

/** it ends by itself after three minutes at most, and is begun anew */
const RECORD = commandLine(
  ...['screenrecord', '--output-format=h264', '--size', '1280x720'],
  ...['--bit-rate', 2_000_000, '--time-limit', 170, '-']
)

const READINGS = {
  ...Object.fromEntries(Object.entries(BASE.readings).map(([name, { type }]) => [name, { type }])),
  space: { type: 'number', unit: 'bytes' },
  temperature: { type: 'number', unit: '°C' },
  uptime: { type: 'number', unit: 's' },
  client: { type: 'text' },
  relay: { type: 'text' },
  campaign: { type: 'text' }
} as const

export async function openTv(init: TvInit): Promise<Tv> {
  const { place, devices, commands, profiles, files, relay, now, signal } = init
  const device = await devices.open({
    kind: 'tv',
    serial: place.name,
    name: place.name,
    readings: READINGS,
    events: {
      command: { class: 'account' },
      booking: { class: 'account' },
      assigned: { class: 'account' },
      showing: { class: 'account' },
      screen: { class: 'account' },
      trigger: { class: 'account' },
      repair: { class: 'account' },
      link: { class: 'event' }
    },
    commands,
    facts: { host: place.host, port: place.port ?? 'wireless', ...place.tags }
  })
  let readings: Values = { client: 'down' }
  let profile: Profile | undefined
  let generation = 0
  const worth = createTelemetry()
  const about = { ...place.tags, name: place.name }
  const marker = `--${randomUUID()}--`

  async function set(values: Values): Promise<void> {
    readings = { ...readings, ...values, ...(relay == null ? {} : { relay: relay.state }) }
    const changed = worth(readings, now())
    if (Object.keys(changed).length > 0) await device.sample(changed)
  }

  const link = openLink({
    host: place.host,
    port: place.port ?? (until => findPort(place.host, init.deadlineMs, until)),
    key: init.key,
    deadlineMs: init.deadlineMs,
    onLamp(lamp, why) {
      if (lamp === 'down') {
        profile = undefined
        generation++
      }
      // what the log refuses is said by the next look
      void set({ client: lamp === 'shell' ? 'up' : 'down' }).catch(() => undefined)
      if (lamp === 'down' && why != null) void note('link', { lamp, why }).catch(() => undefined)
    },
    signal
  })

  const note: Tv['note'] = async (kind, body) => void (await device.event(kind, body))

  /** another TV can stand there after a pause */
  async function profileOf(until?: AbortSignal): Promise<Profile> {
    if (profile != null) return profile
    const { out } = await link.run(commandLine('getprop', 'ro.product.model'), { signal: until })
    const model = Buffer.from(out).toString().trim()
    const own = profiles.find(each => model.includes(each.model))
    profile = own ?? BASE
    return profile
  }

  async function look(until?: AbortSignal): Promise<Values> {
    const used = await profileOf(until)
    const line = used.gather.map(words => commandLine(...words)).join(`; echo ${marker}; `)
    const { out } = await link.run(line, { signal: until })
    const found = readState(used, Buffer.from(out).toString().split(`${marker}\n`))
    await set(found)
    return readings
  }

  const target = async (until?: AbortSignal) => ({ link, profile: await profileOf(until), read: look })
  const live = createLive(until => link.listen(RECORD, until))
  const acts = createActs({ link, files, relay, look })

  return {
    place,
    about,
    link,
    get lamp() {
      return link.lamp
    },
    get reason() {
      return link.reason
    },
    get readings() {
      return readings
    },
    async perform(operation, args, until) {
      const act = acts[operation.name]
      if (act == null) return perform(await target(until), operation, args, until)
      const answer = await act(args, { signal: until, deadlineMs: operation.deadlineMs })
      await verify(operation, args, look, until)
      // a TV without power is asked by nobody
      if (relay != null) await set({})
      return answer
    },
    look,
    live,
    get faults() {
      return profile?.screen ?? BASE.screen
    },
    note,
    say: set,
    samples: from => device.samples(from),
    get generation() {
      return generation
    },
    close: () => device.close()
  }
}
