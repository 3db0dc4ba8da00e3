import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openDatabase } from '../../host/index.ts'
import type { Messenger } from '../assemble.ts'
import { assemblePerson, type Person } from '../assemble-person.ts'
import { openWith, sealWith } from '../device/seal.ts'
import { createUpkeep } from '../device/upkeep.ts'
import { PolicyError } from '../errors.ts'
import { createTelling, type Telling } from '../home/telling.ts'
import type { createOperations } from '../operations.ts'
import { readDeviceCode } from '../school/device-code.ts'
import { createDisk, type Sealing } from '../store/database.ts'
import { MIGRATIONS } from '../store/schema.ts'
import type { Opened } from './locker.ts'

const TEND_MS = 5_000
/** Of each `tend`, so many pass between two comparisons with the members. */
const COMPARED = 6

type Operations = ReturnType<typeof createOperations>

/** A person whose home this node is, while he is signed in. */
export interface Hosted {
  person: Person
  telling: Telling
  operations: Operations
}
export interface HostedInit {
  node: Messenger
  operationsOf(person: Person): Operations
  /** his pages */
  tell(topic: string, value: unknown): void
  /** his device is in the school */
  cameIn(): Promise<void>
  /** a recovery code of his opens what is here */
  keepCode(key: Uint8Array, code: string): Promise<void>
  degraded(what: string, reason: string | undefined): void
}

/** Opens what a hosted person has in a folder, and keeps it going until the signal. */
export async function openHosted(
  { node, operationsOf, tell, cameIn, keepCode, degraded }: HostedInit,
  {
    user,
    folder,
    opened: { key, seed, hasCode: hadCode },
    invite,
    signal
  }: { user: string; folder: string; opened: Opened; invite: string | undefined; signal: AbortSignal }
): Promise<Hosted> {
  const { network, mailbox, shared } = node
  const db = openDatabase(join(folder, 'messenger.sqlite'), MIGRATIONS)
  const isOver = (): boolean => signal.aborted
  const sealing: Sealing = { seal: bytes => sealWith(key, bytes), open: bytes => openWith(key, bytes) }
  const telling = createTelling(tell)
  let hasCode = hadCode
  const person = await assemblePerson({
    ...shared,
    seed,
    db,
    sealing,
    kept: createDisk(db),
    // mailboxes give each other all that they have
    mailboxes: () => (mailbox.isOne() ? [network.self] : node.school.known().mailboxes()),
    signal,
    tell: telling.tell,
    degraded: (what, reason) => (isOver() ? undefined : degraded(what, reason))
  })
  const { school, self } = person
  const upkeep = createUpkeep(person, { ...shared, signal, degraded })
  /** so that he signs in elsewhere with name@home */
  const nameOfHome = (): string => school.known().device(node.self)?.name ?? 'home'
  const forget = node.onGrown(upkeep.onGrown)

  async function tend(): Promise<void> {
    if (invite != null && school.known().device(self) == null) {
      await school.comeIn(invite, nameOfHome(), signal)
      await cameIn()
    }
    if (school.known().person(self) != null) await upkeep.tend()
  }

  async function keepGoing(): Promise<void> {
    for (let round = 0; !isOver(); round++) {
      try {
        await tend()
        if (round % COMPARED === 0) await upkeep.compare()
      } catch (error) {
        if (!isOver()) shared.log('a person whose home this is waits: %s', (error as Error).message)
      }
      await delay(TEND_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  const end = (): void => {
    forget()
    db.close()
  }
  signal.addEventListener('abort', end, { once: true })
  upkeep.start()
  void keepGoing()
  const operations = operationsOf(person)
  return {
    person,
    telling,
    operations: {
      ...operations,
      async joinHome({ code }) {
        if (readDeviceCode(code).user !== user)
          throw new PolicyError('this is the code of somebody else; show one at your other home')
        await person.pairing.join(code, nameOfHome(), async () => {
          await cameIn()
          await upkeep.tend()
        })
        return {}
      },
      async status(input, call) {
        const { recovery, ...status } = await operations.status(input, call)
        // one that was made elsewhere opens nothing here
        return { ...status, ...(hasCode && recovery != null ? { recovery } : {}) }
      },
      async makeRecovery(input, call) {
        const made = await operations.makeRecovery(input, call)
        await keepCode(key, made.code)
        hasCode = true
        return made
      }
    }
  }
}
