import type { HostOf } from '../host/index.ts'
import { createKeptCopies } from './admin/kept-copies.ts'
import { assemblePerson } from './assemble-person.ts'
import { MESSAGES_PER_MINUTE } from './core/constants.ts'
import type { declaration } from './declaration.ts'
import { openDeviceKey } from './keys.ts'
import { createMirror } from './mailbox/mirror.ts'
import { createRates } from './mailbox/rates.ts'
import { createMailbox } from './mailbox/serve.ts'
import { openMailStore } from './mailbox/store.ts'
import { signerOf } from './school/invitation.ts'
import { createNetwork, type Handlers } from './school/network.ts'
import { createSchool } from './school/school.ts'
import { createDisk } from './store/database.ts'
import { MIGRATIONS } from './store/schema.ts'

const MB = 1_000_000

export type Messenger = Awaited<ReturnType<typeof assemble>>

/**
 * The parts of the service, put together: what a node has once, and the device of its owner. `handlers`: what this node
 * answers others.
 */
export async function assemble(
  host: HostOf<typeof declaration>,
  handlers: () => Handlers,
  tell: HostOf<typeof declaration>['tell']
) {
  const { signal, now, log, degraded } = host
  const seed = await openDeviceKey(host.folder)
  const db = host.database(MIGRATIONS)
  const network = createNetwork(host.peers as never, host.isSigned, handlers, signal)
  const kept = createDisk(db)
  const grown = new Set<() => void>()
  const schoolOf = createSchool({
    db,
    network,
    now,
    onGrown() {
      for (const listener of grown) listener()
    }
  })
  const school = schoolOf(await signerOf(seed))
  const mailbox = createMailbox({
    store: openMailStore(db, now),
    self: network.self,
    roster: school.known,
    sign: host.sign,
    catchUp: school.pull,
    statementIn: school.statementIn,
    quotaBytes: () => host.config.mailMb * MB,
    kept,
    signal
  })
  const perMinute = (): number => school.known().policy().messagesPerMinute ?? MESSAGES_PER_MINUTE
  const shared = { school: schoolOf, network, mailbox, perMinute, now, log }
  const owner = await assemblePerson({ ...shared, seed, db, kept, signal, tell, degraded })

  return {
    ...owner,
    /** for a further person */
    shared,
    /** of what nodes bring to this mailbox */
    rates: createRates(perMinute),
    mirror: createMirror(network, school, mailbox, owner.store, signal),
    keptCopies: createKeptCopies(host.folder, () => host.config.copiesMb * MB),
    /** Hears when the roster has grown, until the answer is called. */
    onGrown(listener: () => void): () => void {
      grown.add(listener)
      return () => void grown.delete(listener)
    },
    /** The device on a node of the school: the one that it says, if it does. */
    deviceOn(peer: string, device?: string): string | undefined {
      const there = school.roster?.devicesAt(peer) ?? []
      return device == null ? there[0] : there.find(id => id === device)
    }
  }
}
