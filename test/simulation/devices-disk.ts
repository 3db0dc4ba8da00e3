import type { Disk } from '../../services/devices/log/disk.ts'
import type { Random } from './random.ts'

/** The process is gone; whoever still waits for it waits in vain. */
export class CrashError extends Error {
  override readonly name = 'CrashError'
}

type Files = Map<string, Uint8Array>

/** Disks of one machine, one for each folder. What is forced stays; a crash in the middle of a write leaves some of it. */
export class MachineDisk {
  readonly folders = new Map<string, Files>()
  #life = 0
  /** the next write is cut off by a crash */
  crashesInWrite = false

  readonly random: Random
  constructor(random: Random) {
    this.random = random
  }

  /** All that was opened before is dead. */
  crash(): void {
    this.#life++
    this.crashesInWrite = false
  }

  image(): Map<string, Files> {
    return new Map(
      [...this.folders].map(([folder, files]) => [
        folder,
        new Map([...files].map(([n, b]) => [n, b.slice()]))
      ])
    )
  }
  setBack(image: Map<string, Files>): void {
    this.folders.clear()
    for (const [folder, files] of image)
      this.folders.set(folder, new Map([...files].map(([name, bytes]) => [name, bytes.slice()])))
  }

  /** Flips a bit of a segment, `isSealed`: of one that is not written any more; false where there is none. */
  rot(isSealed = true): boolean {
    const segments = [...this.folders.values()].flatMap(files =>
      [...files.keys()]
        .filter(name => name.endsWith('.seg'))
        .sort()
        .slice(0, isSealed ? -1 : undefined)
        .map(name => ({ files, name }))
    )
    const one = segments[Math.floor(this.random() * segments.length)]
    if (one == null) return false
    const bytes = one.files.get(one.name)!
    bytes[Math.floor(this.random() * bytes.length)]! ^= 1 << Math.floor(this.random() * 8)
    return true
  }

  open(folder: string): Disk {
    const life = this.#life
    const files = (): Files => {
      if (life !== this.#life) throw new CrashError('the machine is off')
      const known = this.folders.get(folder) ?? new Map<string, Uint8Array>()
      this.folders.set(folder, known)
      return known
    }
    const get = (name: string): Uint8Array => {
      const bytes = files().get(name)
      if (bytes == null) throw new Error(`there is no ${name}`)
      return bytes
    }
    return {
      list: async () => [...files()].map(([name, { length: bytes }]) => ({ name, bytes })),
      read: async (name, offset, length) => get(name).slice(offset, offset + length),
      append: async (name, bytes) => {
        const before = files().get(name) ?? new Uint8Array()
        const isCut = this.crashesInWrite
        const written = isCut ? bytes.subarray(0, Math.floor(this.random() * bytes.length)) : bytes
        if (written.length > 0 || !isCut) files().set(name, new Uint8Array(Buffer.concat([before, written])))
        if (!isCut) return
        this.crash()
        throw new CrashError('the power went off')
      },
      truncate: async (name, bytes) => void files().set(name, get(name).slice(0, bytes)),
      rename: async (name, to) => {
        files().set(to, get(name))
        files().delete(name)
      },
      remove: async name => void files().delete(name),
      close: async () => {}
    }
  }
}
