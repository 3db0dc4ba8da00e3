import { COMMAND } from '../commands/store.ts'
import type { Device, DeviceDescription, Devices, Reading, Sample } from '../contract.ts'
import { ReadingError } from '../errors.ts'
import { isWritten, type Pressure } from './budget.ts'
import { AGENT, type Body, MAX_NAME_CHARS } from './entry.ts'
import type { Draft, Place } from './recorder.ts'

const MAX_READINGS = 256
const NAME = /^[A-Za-z][\w.-]{0,63}$/

/** Entries that devices have in common. */
export const DEVICE = 'device'
export const READING = 'reading'
export const GAP = 'gap'
/** The fleet has changed a setting. */
export const SETTING = 'fleet-setting'
const OWN_KINDS = [DEVICE, READING, GAP, SETTING, COMMAND]

export interface DriverDevicesInit {
  record(draft: Draft): Promise<Place>
  pressure(): Pressure
  /** the newest description that is in the log */
  described(id: string): Body | undefined
  /** what the newest event of a kind says */
  latest(id: string, kind: string): Promise<Record<string, unknown> | undefined>
  /** … of boards in whose place this one stands */
  before(id: string, kind: string): Promise<Record<string, unknown> | undefined>
  samples(id: string, from: number): Promise<Sample[]>
  /** a device is here, again or for the first time */
  onOpened(id: string): void
}

/** The devices of this node, for their drivers. */
export function createDriverDevices({
  record,
  pressure,
  described,
  latest,
  before,
  samples,
  onOpened
}: DriverDevicesInit) {
  const opened = new Map<string, DeviceDescription>()
  /** by device: samples so far, and those that found no room */
  const counts = new Map<string, { samples: number; left: number }>()

  async function write(draft: Draft): Promise<Place | undefined> {
    const count = counts.get(draft.device) ?? { samples: 0, left: 0 }
    counts.set(draft.device, count)
    if (!isWritten(pressure(), draft.class, count.samples++)) {
      count.left++
      return undefined
    }
    return record(draft)
  }

  const devices: Pick<Devices, 'open'> = {
    async open(description) {
      check(description)
      const id = `${description.kind}:${description.serial}`
      const { events } = description
      const body = bodyOf(description)
      if (JSON.stringify(described(id)) !== JSON.stringify(body))
        await record({ class: 'account', device: id, kind: DEVICE, body })
      let isOpen = true
      const device: Device = {
        id,
        sample(values) {
          if (!isOpen) throw new ReadingError(`${id} is closed`)
          return write({ class: 'sample', device: id, kind: READING, body: checked(description, values) })
        },
        event(event, about) {
          if (!isOpen) throw new ReadingError(`${id} is closed`)
          const schema = Object.hasOwn(events, event) ? events[event] : undefined
          if (schema == null) throw new ReadingError(`${id} has no event "${event}"`)
          return write({ class: schema.class, device: id, kind: event, body: about })
        },
        latest: event => latest(id, event),
        before: event => before(id, event),
        samples: from => samples(id, from),
        close() {
          isOpen = false
          if (opened.get(id) === description) opened.delete(id)
        }
      }
      opened.set(id, description)
      onOpened(id)
      return device
    }
  }

  return {
    devices,
    opened: opened as ReadonlyMap<string, DeviceDescription>,
    /** Writes about a device what was done with it from afar. */
    note: (device: string, kind: string, body: Body) => record({ class: 'account', device, kind, body }),
    /** Writes how many found no room, once there is some again. */
    async writeGaps(): Promise<void> {
      if (pressure() !== 'none') return
      for (const [device, count] of counts) {
        if (count.left === 0) continue
        const { left } = count
        await record({ class: 'account', device, kind: GAP, body: { left } })
        count.left -= left
      }
    },
    agent: (kind: string, body: Body) => record({ class: 'account', device: AGENT, kind, body })
  }
}

/** What the log says of a device; what it can do only where there is something. */
function bodyOf({
  kind,
  serial,
  name,
  readings,
  events,
  facts = {},
  settings = {},
  commands = {}
}: DeviceDescription): Body {
  const told = {
    settings: Object.fromEntries(Object.entries(settings).map(([each, { type }]) => [each, { type }])),
    commands: Object.fromEntries(
      Object.entries(commands).map(([each, { summary, risk, args }]) => [
        each,
        { summary, risk, ...(args == null ? {} : { args: Object.keys(args.shape) }) }
      ])
    )
  }
  return {
    ...{ kind, serial, name, readings: readings as never, events: events as never, facts },
    ...Object.fromEntries(Object.entries(told).filter(([, each]) => Object.keys(each).length > 0))
  }
}

function check({ kind, serial, name, readings, events, settings, commands }: DeviceDescription): void {
  if (!NAME.test(kind)) throw new ReadingError(`"${kind}" is no kind of devices; write it like "host"`)
  if (kind.length + serial.length + 1 > MAX_NAME_CHARS || serial === '' || name.length > MAX_NAME_CHARS)
    throw new ReadingError(
      `kind and serial, and the name of a device have at most ${MAX_NAME_CHARS} characters`
    )
  const names = [readings, events, settings, commands].flatMap(each => Object.keys(each ?? {}))
  if (names.length > MAX_READINGS)
    throw new ReadingError(
      `${kind}:${serial} has ${names.length} readings, events, settings and commands; at most ${MAX_READINGS}`
    )
  const wrong = names.find(each => !NAME.test(each) || OWN_KINDS.includes(each))
  if (wrong != null) throw new ReadingError(`"${wrong}" is no name of a reading, event, setting or command`)
}

function checked({ kind, readings }: DeviceDescription, values: Record<string, Reading>): Body {
  const types = { number: 'number', text: 'string', boolean: 'boolean' }
  for (const [name, value] of Object.entries(values)) {
    const schema = Object.hasOwn(readings, name) ? readings[name] : undefined
    const isRight = schema != null && types[schema.type] === typeof value
    if (!isRight || (typeof value === 'number' && !Number.isFinite(value)))
      throw new ReadingError(
        `${kind}: ${name} = ${String(value).slice(0, 50)} is no reading that was announced`
      )
  }
  return values
}
