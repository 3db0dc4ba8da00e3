import { open, rm, writeFile } from 'node:fs/promises'
import type { Uuid } from '../contract.ts'
import { StorageError } from '../errors.ts'
import { blockdev } from './arguments.ts'
import { type Bind, type Programs, runWalled } from './walls.ts'

const QCOW2_MAGIC = 0x514649fb
const HEADER_BYTES = 104
/** Incompatible feature bits of qcow2 (docs/interop/qcow2.txt) that name or need another file or another reader. */
const DATA_FILE_BIT = 1n << 2n
const KNOWN_BITS = 0b11011n // dirty, corrupt, compression type, extended L2 entries
const GB = 1024 ** 3

/** Inside there is this one file. */
const IMAGE = '/image'
const bindWritable = (file: string): Bind => ({ from: file, to: IMAGE, isWritable: true })
const bindReadable = (file: string): Bind => ({ from: file, to: IMAGE, isWritable: false })

/** A new empty qcow2. @throws StorageError; then nothing is left of it */
export async function createImage(
  programs: Programs,
  file: string,
  bytes: number,
  signal?: AbortSignal
): Promise<void> {
  const args = ['create', '-q', '-f', 'qcow2', IMAGE, String(bytes)]
  await fillNew(file, () => runWalled(programs, [bindWritable(file)], args, { signal }))
}

export async function growImage(programs: Programs, file: string, sizeGb: number): Promise<void> {
  const args = ['resize', '-q', '-f', 'qcow2', IMAGE, String(sizeGb * GB)]
  await runWalled(programs, [bindWritable(file)], args).catch(asStorage)
}

/** One image out of a chain, without the names of its layers. */
export async function flattenChain(
  programs: Programs,
  layerFile: (uuid: Uuid) => string,
  layers: readonly Uuid[],
  target: string
): Promise<void> {
  const binds: Bind[] = [
    ...layers.map(uuid => ({ from: layerFile(uuid), to: `/chain/${uuid}`, isWritable: false })),
    bindWritable(target)
  ]
  const chain = `json:${JSON.stringify(blockdev(layers, uuid => `/chain/${uuid}`, false))}`
  const args = ['convert', '-O', 'qcow2', '-U', chain, IMAGE]
  await fillNew(target, () => runWalled(programs, binds, args, { ms: 600_000 }))
}

/** What `qemu-img check` exits with. */
const CORRUPT = 2
const LEAKED = 3

export interface ImageCheck {
  /** `unknown`: it came to no end within 2 s, or could not be done */
  found: 'ok' | 'damaged' | 'unknown'
  /** what qemu-img said, on one line */
  words: string
}

/** Looks for damage in one layer. Clusters that nobody uses any more, as a killed QEMU leaves them, are none. */
export async function checkImage(programs: Programs, file: string): Promise<ImageCheck> {
  try {
    const args = ['check', '-U', '-q', '-f', 'qcow2', IMAGE]
    await runWalled(programs, [bindReadable(file)], args, { ms: 2_000 })
    return { found: 'ok', words: '' }
  } catch (error) {
    const { exit, message } = error as Error & { exit?: number }
    if (exit === LEAKED) return { found: 'ok', words: '' }
    // what is no qcow2 any more is not even opened
    const isDamaged = exit === CORRUPT || message.includes(`Could not open '${IMAGE}'`)
    return { found: isDamaged ? 'damaged' : 'unknown', words: oneLine(message) }
  }
}

/**
 * Reads of the first bytes what an uploaded disk is, before any program of QEMU opens it.
 * @returns its size as the guest sees it, in bytes
 * @throws StorageError where it is no qcow2 of version 2 or 3, or refers to another file, or is larger than allowed
 */
export async function inspectUpload(file: string, maxBytes: number): Promise<number> {
  const handle = await open(file)
  const header = Buffer.alloc(HEADER_BYTES)
  try {
    await handle.read(header, 0, HEADER_BYTES, 0)
  } finally {
    await handle.close()
  }
  const refuse = (why: string) => new StorageError(`the image was refused: ${why}`)
  if (header.readUInt32BE(0) !== QCOW2_MAGIC) throw refuse('it is no qcow2')
  const version = header.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw refuse(`qcow2 version ${version} is unknown`)
  if (header.readBigUInt64BE(8) !== 0n)
    throw refuse('it names a backing file; flatten it with qemu-img convert')
  const features = version === 3 ? header.readBigUInt64BE(72) : 0n
  if ((features & DATA_FILE_BIT) !== 0n) throw refuse('it names a data file')
  if ((features & ~KNOWN_BITS) !== 0n) throw refuse(`it has unknown features ${features.toString(16)}`)
  if (header.readUInt32BE(32) !== 0) throw refuse('it is encrypted')
  const size = header.readBigUInt64BE(24)
  if (size === 0n || size > BigInt(maxBytes)) throw refuse(`its disk has ${size} bytes; at most ${maxBytes}`)
  return Number(size)
}

/** Lets QEMU itself, behind its walls, open what was uploaded. @throws StorageError where it cannot */
export async function openUpload(programs: Programs, file: string): Promise<void> {
  const args = ['info', '-U', '-f', 'qcow2', IMAGE]
  await runWalled(programs, [bindReadable(file)], args).catch(asStorage)
}

/** qemu-img sees a file only where there is one already. */
async function fillNew(file: string, work: () => Promise<unknown>): Promise<void> {
  await writeFile(file, '', { mode: 0o600 })
  try {
    await work()
  } catch (error) {
    await rm(file, { force: true })
    asStorage(error)
  }
}

const oneLine = (text: string) => text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200)

function asStorage(error: unknown): never {
  throw new StorageError(`qemu-img: ${oneLine((error as Error).message)}`, { cause: error })
}
