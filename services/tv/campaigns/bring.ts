import type { DatabaseSync } from 'node:sqlite'
import { bringFile } from '../adb/bring-file.ts'
import { hashOf } from '../adb/put-file.ts'
import { commandLine } from '../adb/quote.ts'
import type { Files } from '../context.ts'
import type { Issued } from '../documents/documents.ts'
import { TvFailedError } from '../errors.ts'
import type { Tv } from '../tv.ts'
import { type Asset, FOLDER, pathOf } from './campaign.ts'

type Campaign = Issued<'campaign'>
type FileInfo = ReturnType<Files['info']>

/** A TV that is full to the last byte plays nothing well. */
const RESERVE_BYTES = 32 * 1024 * 1024
/** What the blocks of a file have beside its bytes: links, and what each of them is. */
const TREE_SHARE = 1 / 16
const TREE_BYTES = 64 * 1024
const MAX_FILE_MS = 30 * 60_000

export interface BringInit {
  db: DatabaseSync
  self: string
  files: Files
  tvs: ReadonlyMap<string, Tv>
  /** that count for a TV, also those that are over */
  campaigns(tv: string): readonly Campaign[]
  /** what is shown where nothing else is complete */
  last(tv: string): Campaign | undefined
  /** at this moment, from other nodes */
  mayFetch(): boolean
  now(): number
  /** undefined: it goes on */
  trouble(what: string, why: string | undefined): void
}

/**
 * Where among its assets a node begins: each elsewhere, so that those who fetch at once have different ones, and together
 * all of them early. Pure.
 */
export function inTurn<T>(assets: readonly T[], agents: readonly string[], self: string): T[] {
  const sorted = [...new Set(agents)].sort()
  const first = Math.floor((Math.max(0, sorted.indexOf(self)) * assets.length) / Math.max(1, sorted.length))
  return [...assets.slice(first), ...assets.slice(0, first)]
}

/** Brings the files of campaigns to this node, from whoever has them, and then to its TVs. */
export function createBring({ db, self, files, tvs, campaigns, last, mayFetch, now, trouble }: BringInit) {
  const pin = db.prepare('INSERT OR IGNORE INTO pinned (cid) VALUES (?)')
  const pinAt = db.prepare('UPDATE pinned SET at = ? WHERE cid = ?')
  const unpin = db.prepare('DELETE FROM pinned WHERE cid = ?')
  const pinned = db.prepare('SELECT cid, at FROM pinned')
  /** CIDs that are whole on this node */
  const here = new Set<string>()
  /** by CID and size: those that are of another size, which no further look changes */
  const refused = new Map<string, TvFailedError>()
  /** what each TV was seen to have, since it was connected */
  const seen = new Map<string, { since: number; paths: Set<string> }>()

  function pathsOn(tv: Tv): Set<string> {
    const { name } = tv.place
    let found = seen.get(name)
    if (found?.since !== tv.generation) {
      found = { since: tv.generation, paths: new Set() }
      seen.set(name, found)
    }
    return found.paths
  }

  /** Soonest first; not those that are over. */
  const coming = (tv: string): Campaign[] =>
    campaigns(tv)
      .filter(({ end }) => end > now())
      .sort((a, b) => a.start - b.start)
  const kept = (tv: string): Campaign[] => [...coming(tv), ...[last(tv)].filter(each => each != null)]

  async function fetch(signal: AbortSignal): Promise<void> {
    const names = [...tvs.keys()]
    for (const { name, assets, targets } of mayFetch() ? names.flatMap(coming) : []) {
      const agents = targets.map(({ agent }) => agent)
      let why: string | undefined
      for (const each of inTurn(assets, agents, self)) {
        if (here.has(each.cid)) continue
        try {
          await keep(each, signal)
        } catch (error) {
          signal.throwIfAborted()
          // one that cannot be had holds up no other, and is not forgotten for it
          why ??= (error as Error).message
        }
      }
      trouble(`campaign ${name}`, why)
    }
    const needed = new Set(names.flatMap(kept).flatMap(({ assets }) => assets.map(({ cid }) => cid)))
    for (const key of refused.keys()) if (!needed.has(key.split(' ')[0]!)) refused.delete(key)
    for (const { cid, at } of pinned.all() as { cid: string; at: number | null }[]) {
      if (needed.has(cid)) continue
      here.delete(cid)
      // one that never came is not there, and one that its owner has added or pinned meanwhile is his
      const info = infoOf(cid)
      if (info?.pinned === true && !isOwners(info, at)) await files.unpin(cid)
      unpin.run(cid)
    }
  }

  /** Fetches it, no further than it can be of the size that was signed, and keeps it. @throws {TvFailedError} */
  async function keep({ cid, bytes }: Asset, signal: AbortSignal): Promise<void> {
    const key = `${cid} ${bytes}`
    const before = refused.get(key)
    if (before != null) throw before
    const refuse = (what: string): TvFailedError => {
      const error = new TvFailedError(`${cid} has ${what}, not ${bytes} as was said`)
      refused.set(key, error)
      return error
    }
    const tooLong = new AbortController()
    const { size } = await files.fetch(cid, {
      signal: AbortSignal.any([signal, tooLong.signal]),
      onProgress({ done }) {
        if (done > bytes * (1 + TREE_SHARE) + TREE_BYTES) tooLong.abort(refuse('more bytes'))
      }
    })
    if (size !== bytes) throw refuse(`${size} bytes`)
    // what its owner keeps himself is not let go with the campaign
    if (infoOf(cid)?.pinned !== true) {
      pin.run(cid)
      const { pinnedAt } = await files.pin(cid, { replicas: 0, signal })
      pinAt.run(pinnedAt ?? null, cid)
    }
    here.add(cid)
  }

  function infoOf(cid: string): FileInfo | undefined {
    try {
      return files.info(cid)
    } catch {
      // UnknownFileError: nothing of it is here
      return undefined
    }
  }
  /** A campaign gives no names, wants no copies elsewhere, and pins once. */
  const isOwners = ({ names, replicas, pinnedAt }: FileInfo, at: number | null): boolean =>
    names.length > 0 || replicas.wanted > 0 || (at != null && pinnedAt !== at)

  async function listed(tv: Tv, signal: AbortSignal): Promise<string[]> {
    const { out } = await tv.link.run(commandLine('ls', FOLDER), { signal })
    return Buffer.from(out).toString().split('\n').filter(Boolean)
  }

  /** Makes room by what no campaign to come needs, the oldest first. */
  async function makeRoom(tv: Tv, bytes: number, signal: AbortSignal): Promise<void> {
    const { name } = tv.place
    const isRoom = async (): Promise<boolean> =>
      Number((await tv.look(signal)).space ?? Number.POSITIVE_INFINITY) >= bytes + RESERVE_BYTES
    if (await isRoom()) return
    const needed = new Set(coming(name).flatMap(({ assets }) => assets.map(pathOf)))
    const endOf = (path: string): number =>
      Math.max(
        0,
        ...campaigns(name)
          .filter(({ assets }) => assets.some(each => pathOf(each) === path))
          .map(({ end }) => end)
      )
    const spare = (await listed(tv, signal))
      .map(each => `${FOLDER}/${each}`)
      .filter(path => !needed.has(path))
      .sort((a, b) => endOf(a) - endOf(b))
    for (const path of spare) {
      await tv.link.run(commandLine('rm', '-f', path), { signal })
      pathsOn(tv).delete(path)
      if (await isRoom()) return
    }
    throw new TvFailedError(`${name} has no room for ${bytes} bytes`)
  }

  async function copy(tv: Tv, asset: Asset, isComing: boolean, signal: AbortSignal): Promise<void> {
    const path = pathOf(asset)
    const { cid, sha256, bytes } = asset
    if ((await hashOf(tv.link, path, { signal, deadlineMs: MAX_FILE_MS })) !== sha256) {
      if (!isComing) return
      await tv.link.run(commandLine('mkdir', '-p', FOLDER), { signal })
      await makeRoom(tv, bytes, signal)
      await bringFile({ files, link: tv.link }, { cid, path, sha256 }, { signal })
    }
    pathsOn(tv).add(path)
  }

  const hasAsset = (tv: Tv, asset: Asset): boolean => pathsOn(tv).has(pathOf(asset))

  return {
    /** One round of getting files here, and of letting go those of campaigns that are over. */
    fetch,
    /** One round of getting files to a TV. */
    async copyTo(tv: Tv, signal: AbortSignal): Promise<void> {
      if (tv.lamp !== 'shell') return
      const { name } = tv.place
      let why: string | undefined
      for (const { assets, end } of kept(name))
        for (const asset of assets) {
          if (hasAsset(tv, asset) || !here.has(asset.cid)) continue
          try {
            await copy(tv, asset, end > now(), signal)
          } catch (error) {
            signal.throwIfAborted()
            // one that cannot be had holds up no other
            why ??= (error as Error).message
          }
        }
      trouble(`files of ${name}`, why)
    },
    /** How many of its files are on a TV, looked at there. */
    count: (tv: Tv, { assets }: Campaign): number => assets.filter(asset => hasAsset(tv, asset)).length,
    isReady: (tv: Tv, { assets }: Campaign): boolean => assets.every(asset => hasAsset(tv, asset)),
    /** It is not there after all. */
    forget: (tv: Tv, asset: Asset): void => void pathsOn(tv).delete(pathOf(asset))
  }
}

export type Bring = ReturnType<typeof createBring>
