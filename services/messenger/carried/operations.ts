import { open, rm } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import type { Handlers } from '../../host/index.ts'
import type { Messenger } from '../assemble.ts'
import { FilePathError } from '../errors.ts'
import type { carrying } from './declared.ts'
import { type Packed, packFile } from './pack-file.ts'
import { takeFile } from './take-file.ts'

const DAY_MS = 24 * 3_600_000
const MB = 1_000_000

/** Mail goes out and comes in as a file. */
export function createCarrying(node: Messenger, now: () => number): Handlers<typeof carrying> {
  type Given = { days: number; maxMb: number; files: boolean }
  function packing({ days, maxMb, files }: Given): { packed: Packed; chunks: AsyncGenerator<Uint8Array> } {
    const packed = { statements: 0, packages: 0, envelopes: 0, left: 0 }
    const wanted = { sinceMs: now() - days * DAY_MS, maxBytes: maxMb * MB, files }
    return { packed, chunks: packFile(node, wanted, packed, now()) }
  }
  function openAt(path: string, flags: 'r' | 'wx') {
    if (!isAbsolute(path))
      throw new FilePathError(`${path} is relative; write the whole path, beginning with /`)
    return open(path, flags, 0o600).catch(refused(path, flags === 'r' ? 'read' : 'written'))
  }

  return {
    async carryExport({ path, ...given }, { signal }) {
      const { packed, chunks } = packing(given)
      await using file = await openAt(path, 'wx')
      let bytes = 0
      try {
        for await (const chunk of chunks) {
          signal.throwIfAborted()
          await file.writeFile(chunk).catch(refused(path, 'written'))
          bytes += chunk.length
        }
        // whoever takes the stick away has all of it
        await file.sync().catch(refused(path, 'written'))
      } catch (error) {
        await rm(path, { force: true })
        throw error
      }
      return { path, bytes, ...packed }
    },
    async carryImport({ path }, { signal }) {
      await using file = await openAt(path, 'r')
      return await takeFile(node, file.createReadStream({ autoClose: false }), signal)
    },
    carryOut: given => ({
      chunks: packing(given).chunks,
      headers: { 'content-disposition': 'attachment; filename="school.mail"' }
    }),
    carryIn: (_, { body, signal }) => takeFile(node, body, signal)
  }
}

const refused =
  (path: string, what: 'read' | 'written') =>
  ({ message }: Error): never => {
    throw new FilePathError(`${path} cannot be ${what}: ${message}`)
  }
