import { hashOfFile } from '../../host/index.ts'
import type { Messenger } from '../assemble.ts'
import { BackupError } from '../errors.ts'
import { type Copy, MAX_COPIES } from '../messages.ts'
import { createOwn, createTurns } from '../store/database.ts'
import type { Archive } from './archive.ts'
import type { Backup } from './declared.ts'
import { stayingOf } from './keep.ts'
import { partsOf } from './kept-copies.ts'

const KEEPERS = 'copies'
const ASK_MS = 10_000
/** Nodes that are asked whether they have a backup of this one. */
const MAX_ASKED = 50

export type Copies = ReturnType<typeof createCopies>

/** Copies of this node's backups on others that agreed to keep some: as many as it wants, the same ones again and again. */
export function createCopies(
  { db, school, network }: Pick<Messenger, 'db' | 'school' | 'network'>,
  archive: Archive,
  {
    wanted,
    signal,
    log
  }: { wanted(): number; signal: AbortSignal; log(message: string, ...args: unknown[]): void }
) {
  const own = createOwn(db)
  const inTurn = createTurns()
  const keepers = (): string[] => {
    const value = own.get(KEEPERS)
    return value == null ? [] : (JSON.parse(Buffer.from(value).toString()) as string[])
  }

  /** Those that have some already, then mailboxes, then the others of the school. */
  function candidates(): string[] {
    const roster = school.known()
    const all = [...keepers(), ...roster.mailboxes(), ...roster.devices().map(({ peer }) => peer)]
    return [...new Set(all)].filter(peer => peer !== network.self && roster.isPeer(peer))
  }

  const ask = (peer: string) =>
    network.ask(peer, 'copiesKept', {}, { signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]) })

  async function put(peer: string, copy: Copy, kept: string[]): Promise<void> {
    const { answer, send, end } = network.open(peer, 'keepCopy', { copy, kept }, { signal })
    for await (const part of partsOf(archive.fileOf(copy.about.id))) await send(part)
    await end()
    const { is } = await answer
    if (is !== 'kept') throw new BackupError(`it is ${is}`)
  }

  async function spread(): Promise<void> {
    const backups = await archive.list()
    const here = backups.map(({ id }) => id)
    const known = new Set([...here, ...archive.letGo()])
    const good: string[] = []
    for (const peer of candidates()) {
      if (good.length === wanted()) break
      try {
        const { room, items } = await ask(peer)
        // what was lost here stays there as long as it would have stayed here
        const lost = items.map(({ about }) => about).filter(({ id }) => !known.has(id))
        const kept = [...here, ...stayingOf(backups, lost).map(({ id }) => id)].slice(0, MAX_COPIES)
        // what others stand on goes first
        const missing = backups.filter(({ id }) => !items.some(each => each.about.id === id)).toReversed()
        const freed = items.map(({ about }) => about).filter(({ id }) => !kept.includes(id))
        if (bytesOf(missing) > room + bytesOf(freed)) continue
        for (const about of missing) {
          const sha256 = await hashOfFile(archive.fileOf(about.id))
          await put(peer, { sha256, about }, kept)
        }
        good.push(peer)
      } catch (error) {
        signal.throwIfAborted()
        log('%s keeps no copy of a backup: %s', peer, (error as Error).message)
      }
    }
    own.set(KEEPERS, Buffer.from(JSON.stringify(good)))
  }

  return {
    state: () => ({ kept: keepers().length, wanted: wanted() }),

    /** Brings the backups that are here to the nodes that keep them. */
    spread: (): Promise<void> => inTurn('', spread),

    /** What other nodes have of this one. */
    async list(): Promise<{ peer: string; copy: Copy }[]> {
      const first = school.roster == null ? [] : candidates()
      const found: { peer: string; copy: Copy }[] = []
      let asked = 0
      for await (const peer of network.others(first)) {
        if (++asked > MAX_ASKED) break
        try {
          for (const copy of (await ask(peer)).items) found.push({ peer, copy })
        } catch (error) {
          signal.throwIfAborted()
          log('%s tells of no copies: %s', peer, (error as Error).message)
        }
      }
      return found
    },

    /** Gets a backup, and what it stands on, from whoever has it. @throws {BackupError} nobody who answers */
    async fetch(id: string): Promise<void> {
      const found = await this.list()
      const missing = [id]
      for (let next = missing.pop(); next != null; next = missing.pop()) {
        if ((await archive.list()).some(each => each.id === next)) continue
        const from = found.filter(({ copy }) => copy.about.id === next)
        const base = await fetchOne(next, from)
        if (base != null) missing.push(base)
      }
    }
  }

  async function fetchOne(id: string, from: { peer: string; copy: Copy }[]): Promise<string | undefined> {
    for (const { peer, copy } of from) {
      try {
        const { items } = network.open(peer, 'giveCopy', { sha256: copy.sha256 }, { signal })
        await archive.adopt(copy.about, items)
        return copy.about.of
      } catch (error) {
        signal.throwIfAborted()
        log('%s does not give backup %s: %s', peer, id, (error as Error).message)
      }
    }
    throw new BackupError(`there is no backup ${id} here, and no node that answers has it`)
  }
}

const bytesOf = (backups: readonly Backup[]): number => backups.reduce((sum, { bytes }) => sum + bytes, 0)
