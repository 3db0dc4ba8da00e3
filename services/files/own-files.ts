import { CID } from 'multiformats/cid'
import { createAdds } from './adds.ts'
import { readCid } from './cid.ts'
import type { Context } from './context.ts'
import type {
  FileInfo,
  FilePage,
  Files,
  HolderInfo,
  Opened,
  ProgressOptions,
  ReadOptions
} from './contract.ts'
import { UnknownFileError } from './errors.ts'
import type { createFetches } from './fetches.ts'
import { checkName } from './names.ts'
import type { PinCursor } from './pin-rows.ts'
import { readFile, readFolder, walkPath } from './read.ts'
import { type Holder, isReplica } from './replicas.ts'
import { save } from './save.ts'
import type { NameVersion, Root } from './store.ts'

/** Holders hear for this long that they may let go; after it their lease is over anyway. */
const TELL_MS = 30 * 24 * 3_600_000
const MAX_NAMES = 10
const MAX_VERSIONS = 100

/** The owner's files, as other services, the command line and the dashboard use them. */
export function createOwnFiles(context: Context, fetches: ReturnType<typeof createFetches>) {
  const { store, pins, files, settings, changed, now } = context
  const adds = createAdds(context)

  function resolve(file: string, version?: number): string {
    const cid = readCid(file)
    if (cid != null) return cid.toString()
    const found = version == null ? store.versions(file, 1)[0] : store.version(file, version)
    if (found != null) return found.cid
    const which = version == null ? '' : `version ${version} of `
    throw new UnknownFileError(
      `${which}${JSON.stringify(file.slice(0, 60))} is not here; artel files list shows what is, a CID finds what others have`
    )
  }

  function infoOf(root: Root): FileInfo {
    const pin = pins.find(root.id)
    const holders = pins.holders(root.id)
    return {
      cid: root.cid,
      type: root.type,
      size: root.size,
      cost: root.cost,
      blocks: root.blocks,
      isWhole: root.isWhole,
      pinned: pin != null,
      ...(pin == null ? {} : { pinnedAt: pin.at }),
      names: store.namesOf(root.cid, MAX_NAMES).map(({ name, version, at }) => ({ name, version, at })),
      replicas: { wanted: pin?.wanted ?? 0, proved: holders.filter(isReplica).length },
      holders: holders.map(holderInfo)
    }
  }

  const own = {
    ...adds,

    async fetch(file: string, options: ProgressOptions = {}): Promise<FileInfo> {
      return infoOf(await fetches.fetch(resolve(file), options))
    },

    /** CID and size of a file, also of one in a folder. */
    async stat(
      file: string,
      { path = [], version, signal }: ReadOptions = {}
    ): Promise<Omit<Opened, 'bytes'>> {
      const root = await fetches.fetch(resolve(file, version), { signal })
      const cid = await walkPath(files.get, CID.parse(root.cid), path)
      const { size } = await readFile(files.get, cid)
      return { cid: cid.toString(), size }
    },

    async read(file: string, { range, path = [], version, signal }: ReadOptions = {}): Promise<Opened> {
      const root = await fetches.fetch(resolve(file, version), { signal })
      const letGo = store.keep(root.id)
      try {
        const cid = await walkPath(files.get, CID.parse(root.cid), path)
        const { size, bytes } = await readFile(files.get, cid, range, signal)
        return { cid: cid.toString(), size, bytes: whileKept(bytes, store.keep(root.id)) }
      } finally {
        letGo()
      }
    },

    /** Writes a file or folder to a path of this machine, which must not be there. */
    async save(
      file: string,
      target: string,
      { version, ...options }: ProgressOptions & { version?: number } = {}
    ) {
      const root = await fetches.fetch(resolve(file, version), options)
      const letGo = store.keep(root.id)
      try {
        let done = 0
        await save({
          get: files.get,
          cid: CID.parse(root.cid),
          target,
          maxSize: settings().maxSize,
          onBytes(bytes) {
            done += bytes
            options.onProgress?.({ done, total: root.size })
          },
          signal: options.signal == null ? context.signal : AbortSignal.any([context.signal, options.signal])
        })
        return infoOf(root)
      } finally {
        letGo()
      }
    },

    async pin(file: string, { replicas, ...options }: ProgressOptions & { replicas?: number } = {}) {
      const root = await fetches.fetch(resolve(file), options)
      pins.pin(root.id, replicas ?? pins.find(root.id)?.wanted ?? settings().replicas, now())
      changed(root.cid)
      return infoOf(root)
    },

    async unpin(file: string): Promise<void> {
      const cid = readCid(file)?.toString()
      const versions = cid == null ? store.versions(file, Number.MAX_SAFE_INTEGER) : []
      if (cid == null && versions.length === 0) resolve(file)
      store.removeName(file)
      for (const one of new Set(cid == null ? versions.map(version => version.cid) : [cid])) {
        const root = store.root(one)
        // another name still means it
        if (root == null || (cid == null && store.namesOf(one, 1).length > 0)) continue
        pins.unpin(root, now() + TELL_MS)
        await own.tidy(root.id)
        changed(one)
      }
    },

    /** Lets go of what nobody wants or uses. */
    async tidy(root: number): Promise<void> {
      if (!store.isWanted(root) && !store.isBusy(root)) await store.sweep(root)
    },

    info(file: string): FileInfo {
      const cid = resolve(file)
      const root = store.root(cid)
      if (root == null)
        throw new UnknownFileError(`${cid} is not here; fetch it with: artel files get ${cid}`)
      return infoOf(root)
    },

    /** What is pinned, the newest first. `cursor`: `next` of the page before. */
    list({ limit, cursor }: { limit: number; cursor?: string }): FilePage {
      const page = pins.page(limit, readCursor(cursor))
      const last = page.length === limit ? page.at(-1) : undefined
      return {
        items: page.map(({ root }) => infoOf(store.rootById(root)!)),
        ...(last == null ? {} : { next: `${last.at}.${last.root}` })
      }
    },

    /** A name for who has none: the newest that this node gave it. */
    nameOf: (file: string): string => store.namesOf(resolve(file), 1)[0]?.name ?? file,

    versions: (name: string): NameVersion[] => store.versions(name, MAX_VERSIONS),

    /** Entries of a folder from an offset on, with what they are. */
    async folder(file: string, { path = [], offset, limit, signal }: FolderOptions) {
      const root = await fetches.fetch(resolve(file), { signal })
      const cid = await walkPath(files.get, CID.parse(root.cid), path)
      const items: { name: string; cid: string }[] = []
      let at = 0
      for await (const entry of readFolder(files.get, cid)) {
        if (at++ < offset) continue
        if (items.length === limit) return { items, next: offset + limit }
        items.push({ name: checkName(entry.name), cid: entry.cid.toString() })
      }
      return { items }
    }
  } satisfies Files & Record<string, unknown>
  return own
}

export type OwnFiles = ReturnType<typeof createOwnFiles>

interface FolderOptions extends ReadOptions {
  offset: number
  limit: number
}

const holderInfo = (holder: Holder): HolderInfo => ({
  peer: holder.peer,
  state: isReplica(holder) ? 'proved' : holder.state,
  bytes: holder.bytes,
  seenAt: holder.seenAt,
  ...(holder.provedAt == null ? {} : { provedAt: holder.provedAt })
})

function readCursor(text: string | undefined): PinCursor | undefined {
  if (text == null) return undefined
  const [at = 0, root = 0] = text.split('.', 2).map(Number)
  return { at, root }
}

/** Lets go when the last byte is read, or when nobody reads on. */
function whileKept(bytes: AsyncGenerator<Uint8Array>, letGo: () => void): AsyncGenerator<Uint8Array> {
  let isKept = true
  const end = (): void => {
    if (isKept) letGo()
    isKept = false
  }
  const kept: AsyncGenerator<Uint8Array> = {
    async next() {
      try {
        const result = await bytes.next()
        if (result.done) end()
        return result
      } catch (error) {
        end()
        throw error
      }
    },
    // also when nothing was read yet, which runs no `finally` of a generator
    async return(value) {
      end()
      return bytes.return(value)
    },
    throw(error) {
      end()
      return bytes.throw(error)
    },
    [Symbol.asyncIterator]: () => kept,
    [Symbol.asyncDispose]: async () => void (await kept.return(undefined))
  }
  return kept
}
