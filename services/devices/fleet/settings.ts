import { raceSignal } from 'race-signal'
import type { DeviceDescription, DeviceSetting, Reading } from '../contract.ts'
import type { Body } from '../log/entry.ts'
import { type FleetDocument, settingsFor } from './document.ts'

const SET_MS = 10_000
/** Of one node; more are not told of. */
const MAX_TOLD = 500

/** A setting that the document names. */
export interface SettingState {
  device: string
  name: string
  wanted: Reading
  /** as the device has it */
  actual?: Reading
  /** why it is not as wanted */
  why?: string
}

export interface SettingsInit {
  self: string
  document(): FleetDocument | undefined
  /** what is open now, by id */
  opened(): ReadonlyMap<string, Pick<DeviceDescription, 'settings' | 'facts'>>
  /** what was changed goes into the log of the device */
  note(device: string, body: Body): Promise<unknown>
}

/** Makes settings of the devices here what the document says, and tells which are not. */
export function createSettings({ self, document, opened, note }: SettingsInit) {
  let states: SettingState[] = []

  async function apply(
    device: string,
    name: string,
    wanted: Reading,
    setting: DeviceSetting | undefined,
    signal: AbortSignal
  ): Promise<SettingState> {
    if (setting == null) return { device, name, wanted, why: 'it has no such setting' }
    if (typeof wanted !== { number: 'number', text: 'string', boolean: 'boolean' }[setting.type])
      return { device, name, wanted, why: `it is no ${setting.type}` }
    const until = AbortSignal.any([signal, AbortSignal.timeout(SET_MS)])
    let actual: Reading | undefined
    try {
      actual = await raceSignal(Promise.resolve(setting.now()), until)
      if (actual === wanted) return { device, name, wanted, actual }
      await raceSignal(Promise.resolve(setting.set(wanted)), until)
      const after = await raceSignal(Promise.resolve(setting.now()), until)
      if (after !== wanted) return { device, name, wanted, actual: after, why: 'it did not take it' }
      await note(device, { name, before: actual, now: wanted, version: document()?.version ?? 0 })
      return { device, name, wanted, actual: after }
    } catch (error) {
      signal.throwIfAborted()
      const why = (error as Error).message.slice(0, 300)
      return { device, name, wanted, ...(actual === undefined ? {} : { actual }), why }
    }
  }

  return {
    /** Looks at all, and sets those that are not as wanted. */
    async apply(signal: AbortSignal): Promise<void> {
      const wishes = document()
      const next: SettingState[] = []
      for (const [device, { settings = {}, facts }] of wishes == null ? [] : opened())
        for (const [name, wanted] of Object.entries(settingsFor(wishes!, self, device, facts))) {
          const setting = Object.hasOwn(settings, name) ? settings[name] : undefined
          next.push(await apply(device, name, wanted, setting, signal))
        }
      states = next
    },
    states: (): SettingState[] => states.slice(0, MAX_TOLD)
  }
}
