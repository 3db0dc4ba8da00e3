import { transact } from '../../host/index.ts'
import { PolicyError } from '../errors.ts'
import type { Mls, OwnPackage } from '../groups/mls.ts'
import { MAX_PACKAGES } from '../messages.ts'
import type { Network } from '../school/network.ts'
import type { School } from '../school/school.ts'
import type { Own } from '../store/database.ts'
import type { DeviceStore } from './store.ts'

/** So few left: more are made. */
const LOW = 25

/** Leaves key packages of this device at every mailbox, so that others can add it while it is away. */
export function createPackages(
  mls: Mls,
  store: DeviceStore,
  own: Own,
  school: School,
  network: Network,
  signal: AbortSignal
) {
  async function make(count: number): Promise<OwnPackage[]> {
    const made: OwnPackage[] = []
    for (let i = 0; i < count; i++) made.push(await mls.keyPackage())
    return made
  }

  async function leave(mailbox: string): Promise<void> {
    const { school: id } = school.known()
    const key = `last package at ${mailbox}`
    const ask = (packages: Uint8Array[], last?: Uint8Array) =>
      network.ask(
        mailbox,
        'leavePackages',
        { school: id, device: mls.device, packages, ...(last == null ? {} : { last }) },
        { signal }
      )
    const { left } = await ask([])
    const isNew = own.get(key) == null || left === 0
    if (left >= LOW && !isNew) return
    const packages = await make(MAX_PACKAGES - left)
    const [last] = isNew ? await make(1) : []
    // the private parts are on the disk before anybody can use the public ones
    transact(store.db, () => {
      for (const each of packages) store.addPackage(each, false)
      if (last != null) store.addPackage(last, true)
    })
    await ask(
      packages.map(({ publicBytes }) => publicBytes),
      last?.publicBytes
    )
    own.set(key, Buffer.from('left'))
  }

  return {
    /** What could not be left is left the next time. */
    async tend(): Promise<void> {
      if (school.roster?.person(mls.device) == null) return
      await Promise.allSettled(school.known().mailboxes().map(leave))
    }
  }
}

/** A key package of each. @throws {PolicyError} of one there is none, and none of the others is taken */
export async function takePackages(
  devices: readonly string[],
  school: School,
  network: Network,
  signal: AbortSignal
): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  const have = new Set<string>()
  for (const isLook of [true, false]) {
    for (const mailbox of school.known().mailboxes()) {
      const missing = devices.filter(device => !found.has(device) && !(isLook && have.has(device)))
      if (missing.length === 0) break
      try {
        const { packages, ...there } = await network.ask(
          mailbox,
          'takePackages',
          { school: school.known().school, devices: missing, isLook },
          { signal }
        )
        // an older program gives them at once
        for (const [device, bytes] of packages) if (missing.includes(device)) found.set(device, bytes)
        for (const device of there.have ?? []) have.add(device)
      } catch {
        // the next mailbox may have them
      }
    }
    const missing = devices.filter(device => !found.has(device) && !(isLook && have.has(device)))
    if (missing.length === 0) continue
    const names = missing.map(device => school.known().person(device)?.name ?? device)
    throw new PolicyError(
      `no mailbox has a key package of ${names.join(', ')}; their nodes leave some when they run`
    )
  }
  return found
}
