import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { assemble, type FilesNode } from '../../../services/files/assemble.ts'
import type { Settings } from '../../../services/files/context.ts'
import type { Peers } from '../../../services/files/messages.ts'
import { MIGRATIONS } from '../../../services/files/schema.ts'

const MB = 1_000_000
/** what is on its way comes; the deadline only ends a test that has failed anyway */
const AT_REST_MS = 60_000

export const SETTINGS: Settings = {
  quotaBytes: 1000 * MB,
  maxSize: 1000 * MB,
  replicas: 0,
  giveAtOnce: 8,
  lending: { total: 100 * MB, perPeer: 50 * MB, lendsTo: () => true },
  policy: { graceMs: 10_000, checkMs: 5_000, pollMs: 100, stallMs: 10_000 }
}

export interface Member {
  id: string
  node: FilesNode
  settings: Settings
  folder: string
  db: DatabaseSync
  /** as after kill -9: nothing is ended, nobody answers any more */
  kill(): void
}

/** Nodes in this process with real folders and databases; only the wire and the clock are not real. */
export class Fleet {
  now = 1_800_000_000_000
  readonly members = new Map<string, Member>()
  readonly log: string[] = []
  /** changes what a peer gives: a block of others, an answer */
  cheat: {
    block?(peer: string, bytes: Uint8Array): Uint8Array
    answer?(peer: string, kind: string): unknown
  } = {}
  #folder = ''
  readonly #controllers: AbortController[] = []
  readonly #known = new Set<string>()
  /** blocks that are on their way to a member; its clock stands still meanwhile, for its disk is as slow as it is */
  readonly #fetching = new Map<string, number>()
  readonly #databases: DatabaseSync[] = []

  async open(): Promise<this> {
    this.#folder = await mkdtemp(join(tmpdir(), 'artel-fleet-'))
    return this
  }

  /** The same name again is the same disk. */
  async start(id: string, settings: Partial<Settings> = {}): Promise<Member> {
    const folder = join(this.#folder, id)
    const db = new DatabaseSync(join(this.#folder, `${id}.sqlite`))
    db.exec('PRAGMA journal_mode = WAL')
    if (!this.#known.has(id)) for (const migration of MIGRATIONS) db.exec(migration)
    this.#known.add(id)
    this.#databases.push(db)
    const controller = new AbortController()
    this.#controllers.push(controller)
    const member = { id, settings: { ...SETTINGS, ...settings }, folder, db } as Member
    const log = (message: string, ...args: unknown[]): void =>
      void this.log.push([id, message, ...args].join(' '))
    member.node = await assemble({
      folder,
      db,
      peers: this.#peersOf(id),
      settings: () => member.settings,
      now: () => this.now,
      signal: controller.signal,
      log: Object.assign(log, { error: log }),
      tell: { transfers() {}, changed() {} }
    })
    member.kill = () => {
      this.members.delete(id)
      this.#fetching.delete(id)
      controller.abort(new Error('killed'))
    }
    this.members.set(id, member)
    return member
  }

  /** Everybody's rounds, some time after each other, until `condition` holds. */
  async until(
    what: string,
    condition: () => boolean | Promise<boolean>,
    { stepMs = 1000, rounds = 100 } = {}
  ): Promise<void> {
    for (let i = 0; i < rounds; i++) {
      if (await condition()) return
      this.now += stepMs
      await Promise.all([...this.members.values()].map(({ node }) => node.tick()))
      const deadline = Date.now() + AT_REST_MS
      do await delay(5)
      while ([...this.#fetching.values()].some(count => count > 0) && Date.now() < deadline)
    }
    throw new Error(`not after ${rounds} rounds: ${what}\n${this.log.slice(-20).join('\n')}`)
  }

  async close(): Promise<void> {
    for (const controller of this.#controllers) controller.abort(new Error('the test is over'))
    await Promise.all([...this.members.values()].map(({ node }) => node.stop()))
    for (const db of this.#databases) if (db.isOpen) db.close()
    await rm(this.#folder, { recursive: true, force: true })
  }

  #peersOf(self: string): Peers {
    const reach = (peer: string): FilesNode => {
      const node = this.members.get(peer)?.node
      if (node == null) throw new Error(`${peer} is gone`)
      return node
    }
    const { members, cheat } = { members: this.members, cheat: () => this.cheat }
    const fetching = this.#fetching
    const controller = this.#controllers.at(-1)!
    return {
      async *find() {
        for (const id of members.keys()) if (id !== self) yield id
      },
      async ask(peer, kind, request) {
        const node = reach(peer)
        const lie = cheat().answer?.(peer, kind)
        if (lie != null) return lie as never
        if (kind === 'hold' && !members.get(peer)!.settings.lending.lendsTo(self))
          return { is: 'refused', bytes: 0, why: 'not for you' } as never
        return node.answer(self, kind, request)
      },
      async *blocks(peer, cids) {
        const count = (by: number): void => {
          if (!controller.signal.aborted) fetching.set(self, (fetching.get(self) ?? 0) + by)
        }
        count(1)
        try {
          for await (const bytes of reach(peer).blocks(self, cids)) {
            reach(peer)
            yield cheat().block?.(peer, bytes) ?? bytes
          }
        } finally {
          count(-1)
        }
      }
    }
  }
}
