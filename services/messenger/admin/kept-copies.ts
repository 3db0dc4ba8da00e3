import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MalformedMessageError } from '../errors.ts'
import { COPY_PART_BYTES, type Copy, copySchema, MAX_COPIES } from '../messages.ts'

const FOLDER = 'copies'
const PEER = /^[1-9A-HJ-NP-Za-km-z]{40,64}$/

export type KeptCopies = ReturnType<typeof createKeptCopies>

/**
 * Backups of other nodes, sealed so that this one cannot read them: a folder for each node, a file for each copy, named by
 * its hash, and beside it what it is.
 */
export function createKeptCopies(root: string, quotaBytes: () => number) {
  const folder = join(root, FOLDER)
  /** room that is promised to copies which are coming now */
  let coming = 0

  function of(peer: string) {
    // it becomes a path
    if (!PEER.test(peer)) throw new MalformedMessageError(`${peer.slice(0, 80)} is no peer id`)
    const own = join(folder, peer)
    const file = (sha256: string): string => join(own, sha256)
    return { own, file, about: (sha256: string): string => `${file(sha256)}.json` }
  }

  async function list(peer: string): Promise<Copy[]> {
    const { own } = of(peer)
    const names = (await readdir(own).catch(() => [])).filter(name => name.endsWith('.json'))
    const read = await Promise.all(names.map(name => readFile(join(own, name), 'utf8').then(copyIn)))
    return read.filter(each => each != null).sort((a, b) => b.about.at - a.about.at)
  }

  async function usedBytes(): Promise<number> {
    let bytes = coming
    for (const peer of await readdir(folder).catch(() => []))
      for (const { about } of await list(peer)) bytes += about.bytes
    return bytes
  }

  async function drop(peer: string, sha256: string): Promise<void> {
    const { file, about } = of(peer)
    await rm(about(sha256), { force: true })
    await rm(file(sha256), { force: true })
  }

  return {
    list,
    roomBytes: async (): Promise<number> => Math.max(0, quotaBytes() - (await usedBytes())),

    /** Lets go of what its owner does not keep any more, and of what a kill left behind; not while one of his comes. */
    async keepOnly(peer: string, ids: readonly string[]): Promise<void> {
      const there = await list(peer)
      for (const { about, sha256 } of there) if (!ids.includes(about.id)) await drop(peer, sha256)
      const { own } = of(peer)
      const whole = new Set(there.flatMap(({ sha256 }) => [sha256, `${sha256}.json`]))
      // it takes room that nobody counts
      for (const name of await readdir(own).catch(() => []))
        if (!whole.has(name)) await rm(join(own, name), { force: true })
    },

    /**
     * Takes a copy in as it comes; one that is not what it was said to be leaves nothing behind.
     *
     * @throws {MalformedMessageError}
     */
    async take(peer: string, copy: Copy, parts: AsyncIterable<Uint8Array>): Promise<'kept' | 'full'> {
      const { sha256, about } = copy
      const there = await list(peer)
      if (there.some(each => each.sha256 === sha256)) return 'kept'
      // each takes a file, however few bytes it has
      if (there.length >= MAX_COPIES) return 'full'
      const place = of(peer)
      const half = `${place.file(sha256)}.tmp`
      // first, so that two who come at the same moment do not both find the same room
      coming += about.bytes
      try {
        if ((await usedBytes()) > quotaBytes()) return 'full'
        await mkdir(place.own, { recursive: true, mode: 0o700 })
        const hash = createHash('sha256')
        let bytes = 0
        {
          await using sink = await open(half, 'w', 0o600)
          for await (const part of parts) {
            bytes += part.length
            if (bytes > about.bytes)
              throw new MalformedMessageError('a copy is longer than it was said to be')
            hash.update(part)
            await sink.writeFile(part)
          }
          await sink.sync()
        }
        if (bytes !== about.bytes || hash.digest('hex') !== sha256)
          throw new MalformedMessageError('a copy is not what it was said to be')
        await rename(half, place.file(sha256))
        await writeFile(place.about(sha256), JSON.stringify(copy), { mode: 0o600, flush: true })
        return 'kept'
      } finally {
        coming -= about.bytes
        await rm(half, { force: true })
      }
    },

    /** @throws {MalformedMessageError} there is none */
    async *give(peer: string, sha256: string): AsyncGenerator<Uint8Array> {
      if (!(await list(peer)).some(each => each.sha256 === sha256))
        throw new MalformedMessageError('there is no such copy')
      yield* partsOf(of(peer).file(sha256))
    }
  }
}

/** A file in parts as they travel. */
export async function* partsOf(path: string): AsyncGenerator<Uint8Array> {
  await using source = await open(path)
  for (;;) {
    const { buffer, bytesRead } = await source.read(new Uint8Array(COPY_PART_BYTES))
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

function copyIn(text: string): Copy | undefined {
  try {
    return copySchema.parse(JSON.parse(text))
  } catch {
    // half written: it is sent again
    return undefined
  }
}
