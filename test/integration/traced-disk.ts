import { createReadStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import { createInterface } from 'node:readline'

/*
 * What a power cut leaves of a folder, from a trace of all that a process did to it. A device that drops what was not
 * flushed (dm-flakey) would show one cut of each run and needs a kernel with device mapper; a trace shows the disk at any
 * moment, and takes POSIX by its word: bytes are safe once their file was synced, a name once its folder was, and
 * everything else may be lost, or not, one by one.
 */

const CALLS = [
  'openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile',
  'rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir',
  'fsync,fdatasync,sync_file_range,syncfs,sync,mmap,io_uring_setup'
].join()

/** Runs the rest of a command line so that `file` says what it and its threads did. */
export const traced = (file: string): string[] => [
  ...['strace', '-f', '-qq', '-y', '-xx', '--seccomp-bpf', '-s', String(1 << 26)],
  ...['-e', 'signal=none', '-e', `trace=${CALLS}`, '-o', file]
]

/** Changes the bytes of a file, or the names in a folder. */
type Change = { at: number; bytes: Buffer } | { size: number } | { names: [name: string, to?: Entry][] }

/** A file or a folder, whatever its name. */
class Entry {
  readonly isFolder: boolean
  /** what is safe */
  bytes = Buffer.alloc(0)
  readonly names = new Map<string, Entry>()
  /** what is not, in order */
  waiting: Change[] = []
  /** changes that are safe, and all */
  #safe = 0

  constructor(isFolder: boolean) {
    this.isFolder = isFolder
  }

  get changes(): number {
    return this.#safe + this.waiting.length
  }

  /** The first `changes` are on the disk. */
  sync(changes: number): void {
    const done = this.waiting.splice(0, changes - this.#safe)
    this.#safe += done.length
    for (const change of done) this.bytes = applied(change, this.bytes, this.names)
  }

  /** As it is where the first `count` of what waits reached the disk, too. */
  after(count: number): { bytes: Buffer; names: Map<string, Entry> } {
    let bytes: Buffer = Buffer.from(this.bytes)
    const names = new Map(this.names)
    for (const change of this.waiting.slice(0, count)) bytes = applied(change, bytes, names)
    return { bytes, names }
  }

  get now(): ReturnType<Entry['after']> {
    return this.after(this.waiting.length)
  }
}

/** Changes `names`; gives the bytes. */
function applied(change: Change, bytes: Buffer, names: Map<string, Entry>): Buffer<ArrayBuffer> {
  if ('names' in change)
    for (const [name, to] of change.names)
      if (to == null) names.delete(name)
      else names.set(name, to)
  const sized = (size: number): Buffer<ArrayBuffer> =>
    Buffer.concat([bytes.subarray(0, size), Buffer.alloc(Math.max(0, size - bytes.length))])
  if ('size' in change) return sized(change.size)
  if (!('at' in change)) return bytes as Buffer<ArrayBuffer>
  const end = change.at + change.bytes.length
  const changed = end > bytes.length ? sized(end) : (bytes as Buffer<ArrayBuffer>)
  changed.set(change.bytes, change.at)
  return changed
}

interface Output {
  to: string
  bytes: Buffer
}

/** How many of the changes that wait of a file or a folder reached the disk before the cut. */
export type Reached = (waiting: number, isFolder: boolean) => number

const text = (hex: string): string => bytesOf(hex).toString()
const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll('\\x', ''), 'hex')

/** The disk under the folder `root`, which was empty when the trace began. */
export class TracedDisk {
  readonly #root: string
  readonly #top = new Entry(true)
  /** where a descriptor writes next */
  readonly #offsets = new Map<string, number>()
  /** calls of threads that have not come to their end: what was said, and what a sync is for */
  readonly #open = new Map<string, { said: string; changes: number }>()

  constructor(root: string) {
    this.#root = root
  }

  /**
   * Follows a trace to its end; gives each line that went to a standard output, of the process or of others that it started,
   * when it was written.
   */
  async *follow(trace: string): AsyncGenerator<string> {
    const said = new Map<string, string>()
    for await (const line of createInterface({ input: createReadStream(trace, 'latin1') })) {
      const output = this.#take(line)
      if (output == null) continue
      const lines = ((said.get(output.to) ?? '') + output.bytes).split('\n')
      said.set(output.to, lines.pop()!)
      yield* lines
    }
  }

  /** Writes what a cut leaves at this moment into a folder. */
  async save(folder: string, reached: Reached): Promise<void> {
    const write = async (entry: Entry, to: string): Promise<void> => {
      const { bytes, names } = entry.after(reached(entry.waiting.length, entry.isFolder))
      if (!entry.isFolder) return writeFile(to, bytes, { mode: 0o600 })
      await mkdir(to, { recursive: true, mode: 0o700 })
      for (const [name, each] of names) if (!isMemory(name)) await write(each, join(to, name))
    }
    await write(this.#top, folder)
  }

  #entry(path: string): Entry | undefined {
    let entry: Entry | undefined = this.#top
    for (const name of relative(this.#root, path).split(sep))
      if (name !== '') entry = entry?.now.names.get(name)
    return entry
  }

  /** The path of a file of ours. */
  #own(path: string): string | undefined {
    return path === this.#root || path.startsWith(this.#root + sep) ? path : undefined
  }

  #rename(names: [path: string, to?: Entry][]): void {
    const folders = new Set(names.map(([path]) => dirname(path)))
    for (const folder of folders) {
      const here = names.filter(([path]) => dirname(path) === folder)
      this.#entry(folder)!.waiting.push({ names: here.map(([path, to]) => [basename(path), to]) })
    }
  }

  /** Gives what was written to standard output. */
  #take(line: string): Output | undefined {
    const [, thread, rest] = /^(\d+) +(.*)$/s.exec(line)!
    const unfinished = / <unfinished \.\.\.>$/
    if (unfinished.test(rest!)) {
      const said = rest!.replace(unfinished, '')
      this.#open.set(thread!, { said, changes: this.#synced(said)?.changes ?? 0 })
      return
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/s.exec(rest!)
    if (resumed == null) return this.#call(rest!)
    const open = this.#open.get(thread!)
    this.#open.delete(thread!)
    return open && this.#call(open.said + resumed[1], open.changes)
  }

  #synced(call: string): Entry | undefined {
    const [, path] = /^f(?:data)?sync\(\d+<([^>]*)>/.exec(call) ?? []
    return path == null || this.#own(text(path)) == null ? undefined : this.#entry(text(path))
  }

  #call(call: string, begun?: number): Output | undefined {
    const [, name, args, result] = /^(\w+)\((.*)\) += (-?\d+)/s.exec(call) ?? []
    if (name == null || args == null || Number(result) < 0) return
    const [, fd, hex, gone] = /^(\d+)<([^>]*)>(\(deleted\))?/.exec(args) ?? []
    const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, each]) => each!)
    const numbers = [...args.matchAll(/, (\d+)(?=,|$)/g)].map(([, each]) => Number(each))
    const descriptor = hex == null ? undefined : this.#own(text(hex))
    switch (name) {
      case 'write':
      case 'writev':
      case 'pwrite64':
      case 'pwritev': {
        const bytes = Buffer.concat(strings.map(bytesOf)).subarray(0, Number(result))
        if (fd === '1') return { to: hex!, bytes }
        if (descriptor == null || gone != null) return
        const entry = this.#entry(descriptor)!
        const key = `${fd} ${descriptor}`
        const at = name.startsWith('p') ? numbers.at(-1)! : (this.#offsets.get(key) ?? entry.now.bytes.length)
        entry.waiting.push({ at, bytes })
        if (!name.startsWith('p')) this.#offsets.set(key, at + bytes.length)
        return
      }
      case 'openat':
      case 'creat':
        return this.#opened(args, text(strings[0]!), result!)
      case 'ftruncate':
        if (descriptor != null && gone == null)
          this.#entry(descriptor)!.waiting.push({ size: numbers.at(-1)! })
        return
      case 'fsync':
      case 'fdatasync': {
        const entry = this.#synced(call)
        entry?.sync(begun ?? entry.changes)
        return
      }
      case 'mmap':
        // what is written through memory is not seen
        if (/PROT_WRITE/.test(args) && /MAP_SHARED/.test(args))
          this.#refuse(call, /<([^>]*)>/.exec(args)?.[1])
        return
    }
    const paths = strings.map(text)
    if (!paths.some(path => this.#own(path))) {
      if (descriptor != null) this.#refuse(call, hex)
      return
    }
    const [from, to] = paths as [string, string]
    if (name.startsWith('mkdir')) this.#rename([[from, new Entry(true)]])
    else if (name.startsWith('unlink') || name === 'rmdir') this.#rename([[from]])
    else if (name.startsWith('rename')) this.#rename([[from], [to, this.#entry(from)!]])
    else if (name === 'link' || name === 'linkat') this.#rename([[to, this.#entry(from)!]])
    else this.#refuse(call, strings[0])
  }

  #opened(args: string, path: string, descriptor: string): undefined {
    if (this.#own(path) == null) return
    if (/O_CREAT/.test(args) && this.#entry(path) == null) this.#rename([[path, new Entry(false)]])
    if (/O_TRUNC/.test(args)) this.#entry(path)!.waiting.push({ size: 0 })
    const key = `${descriptor} ${path}`
    if (/O_APPEND/.test(args)) this.#offsets.delete(key)
    else this.#offsets.set(key, 0)
  }

  #refuse(call: string, hex = ''): undefined {
    const path = text(hex)
    if (this.#own(path) == null || isMemory(path)) return
    throw new Error(
      `a trace with ${call.slice(0, call.indexOf('('))} of ${path}, which this model does not know`
    )
  }
}

/** SQLite's index of its log: shared memory, made anew where it is missing. */
const isMemory = (path: string): boolean => path.endsWith('-shm')
