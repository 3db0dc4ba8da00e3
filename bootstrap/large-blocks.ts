import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AbortOptions } from '@libp2p/interface'
import { LevelBlockstore } from 'blockstore-level'
import type { Pair } from 'interface-blockstore'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { decode } from 'multiformats/hashes/digest'
import { makeFolder, syncFolder, together } from './files.ts'

const LARGE_BYTES = 64 * 1024
const DRAFT = '.tmp'

const nameOf = (cid: CID): string => Buffer.from(cid.multihash.bytes).toString('hex')

/**
 * Blocks in LevelDB, large ones as files beside it, by the bytes of their hash in hexadecimal digits: LevelDB writes a block of a
 * MiB twice and more, and reads it at a third of the speed. A large block is on the disk, whole, when it is put.
 */
export class LargeBlocks extends LevelBlockstore {
  readonly #folder: string
  readonly #large = new Set<string>()
  readonly #syncNames: () => Promise<void>

  constructor(path: string, folder: string, init: ConstructorParameters<typeof LevelBlockstore>[1]) {
    super(path, init)
    this.#folder = folder
    this.#syncNames = together(() => syncFolder(folder))
  }

  override async open(): Promise<void> {
    await super.open()
    await makeFolder(this.#folder)
    for (const name of await readdir(this.#folder)) {
      // what was not whole when the node ended
      if (name.endsWith(DRAFT)) await rm(this.#file(name))
      else this.#large.add(name)
    }
  }

  #file(name: string): string {
    return join(this.#folder, name)
  }

  override async put(
    cid: CID,
    bytes: Parameters<LevelBlockstore['put']>[1],
    options?: AbortOptions
  ): Promise<CID> {
    if (!(bytes instanceof Uint8Array) || bytes.length < LARGE_BYTES) return super.put(cid, bytes, options)
    const name = nameOf(cid)
    if (this.#large.has(name)) return cid
    options?.signal?.throwIfAborted()
    const draft = this.#file(`${name}.${randomBytes(4).toString('hex')}${DRAFT}`)
    try {
      const handle = await open(draft, 'wx', 0o600)
      try {
        await handle.writeFile(bytes)
        await handle.datasync()
      } finally {
        await handle.close()
      }
      await rename(draft, this.#file(name))
      await this.#syncNames()
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
    this.#large.add(name)
    return cid
  }

  override async *get(cid: CID, options?: AbortOptions): AsyncGenerator<Uint8Array> {
    if (this.#large.has(nameOf(cid))) yield await readFile(this.#file(nameOf(cid)), options)
    else yield* super.get(cid, options)
  }

  override async has(cid: CID, options?: AbortOptions): Promise<boolean> {
    return this.#large.has(nameOf(cid)) || super.has(cid, options)
  }

  override async delete(cid: CID, options?: AbortOptions): Promise<void> {
    if (this.#large.delete(nameOf(cid))) await rm(this.#file(nameOf(cid)), { force: true })
    // from before there were files
    await super.delete(cid, options)
  }

  override async *getAll(options?: AbortOptions): AsyncGenerator<Pair> {
    for (const name of this.#large) {
      const cid = CID.createV1(raw.code, decode(Buffer.from(name, 'hex')))
      yield { cid, bytes: this.get(cid, options) }
    }
    yield* super.getAll(options)
  }
}
