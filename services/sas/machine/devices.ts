import type { HostOf } from '../../host/index.ts'
import type { declaration } from '../declaration.ts'
import type { GameInfo, MachineId } from '../frames.ts'
import { METERS } from '../tables/meters.ts'

export type Devices = Pick<HostOf<typeof declaration>['use']['devices'], 'open'>
export type Device = Awaited<ReturnType<Devices['open']>>
export type DeviceCommands = NonNullable<Parameters<Devices['open']>[0]['commands']>

/** What a machine said to a poll. */
export type MachineAnswer =
  | { is: 'acknowledged' | 'refused' | 'silent' }
  | { is: 'answered'; frame: Uint8Array }

const METER_NAMES = Object.values(METERS)
/** Codes by which machines say what a credit is worth; in units of the currency. */
export const DENOMINATIONS: Readonly<Record<number, number>> = {
  1: 0.01,
  23: 0.02,
  2: 0.05,
  3: 0.1,
  4: 0.25,
  5: 0.5,
  6: 1,
  7: 5,
  8: 10,
  9: 20
}

/** The place that a machine is at: what is heard there while nobody knows which one it is. */
export const openPlace = (devices: Devices, line: string, address: number): Promise<Device> =>
  devices.open({
    kind: 'sas-place',
    serial: `${line}:${address}`,
    name: `${line}, address ${address}`,
    readings: { isUp: { type: 'boolean' } },
    events: {
      exception: { class: 'account' },
      link: { class: 'account' },
      swapped: { class: 'account' },
      money: { class: 'account' }
    }
  })

/** A machine, by the serial number that it says. */
export const openMachine = (
  devices: Devices,
  { version, serial }: MachineId,
  game: GameInfo | undefined,
  commands: DeviceCommands
): Promise<Device> =>
  devices.open({
    kind: 'sas',
    serial,
    name: game == null ? serial : `${game.id} ${serial}`,
    readings: Object.fromEntries(
      METER_NAMES.map(each => [each, { type: 'number' as const, unit: 'credits' }])
    ),
    events: {
      exception: { class: 'account' },
      meters: { class: 'account' },
      command: { class: 'account' },
      listener: { class: 'event' },
      handpay: { class: 'account' },
      money: { class: 'account' }
    },
    commands,
    facts: {
      version,
      ...(game == null
        ? {}
        : {
            game: game.id,
            paytable: game.paytable,
            basePercent: game.basePercent,
            denomination: DENOMINATIONS[game.denomination] ?? `code ${game.denomination}`
          })
    }
  })
