import type { FakeTv } from './fake-tv.ts'

const REGULAR = 0o100644

/** The file service of ADB: STAT, STA2, LST2, SEND, RECV, QUIT. Each is an id of four letters, a length and bytes. */
export class FakeSync {
  private buffered = Buffer.alloc(0)
  /** the file that is being sent */
  private file?: { path: string; error?: string; bytes: number }
  private readonly tv: FakeTv
  private readonly write: (data: Uint8Array) => void
  private readonly end: () => void

  constructor(tv: FakeTv, write: (data: Uint8Array) => void, end: () => void) {
    this.tv = tv
    this.write = write
    this.end = end
  }

  take(data: Buffer): void {
    this.buffered = Buffer.concat([this.buffered, data])
    while (this.buffered.length >= 8) {
      const id = this.buffered.subarray(0, 4).toString('latin1')
      const length = this.buffered.readUInt32LE(4)
      // the length of DONE is a time
      if (id !== 'DONE' && this.buffered.length < 8 + length) return
      const body = id === 'DONE' ? Buffer.alloc(0) : this.buffered.subarray(8, 8 + length)
      this.buffered = this.buffered.subarray(8 + body.length)
      this.request(id, body)
    }
  }

  private request(id: string, body: Buffer): unknown {
    const text = body.toString()
    if (id === 'QUIT') return this.end()
    if (id === 'STAT') {
      const file = this.tv.files.get(text)
      return this.write(packet('STAT', file == null ? 0 : REGULAR, file?.length ?? 0, 0))
    }
    if (id === 'STA2' || id === 'LST2') {
      const file = this.tv.files.get(text)
      const out = Buffer.alloc(72)
      out.write(id, 'latin1')
      // ENOENT
      out.writeUInt32LE(file == null ? 2 : 0, 4)
      out.writeUInt32LE(file == null ? 0 : REGULAR, 24)
      out.writeBigUInt64LE(BigInt(file?.length ?? 0), 40)
      return this.write(out)
    }
    if (id === 'SEND') {
      const path = text.slice(0, text.lastIndexOf(','))
      this.file = { path, bytes: 0 }
      // a file grows where it is, as on a TV: who stops in the middle leaves half of it
      this.tv.files.set(path, Buffer.alloc(0))
      return undefined
    }
    if (id === 'DATA' && this.file != null) {
      const { path } = this.file
      if (this.tv.used + body.length > this.tv.room) this.file.error ??= 'No space left on device'
      else this.tv.files.set(path, Buffer.concat([this.tv.files.get(path) ?? Buffer.alloc(0), body]))
      return undefined
    }
    if (id === 'DONE' && this.file != null) {
      const { error } = this.file
      this.file = undefined
      if (error == null) return this.write(packet('OKAY', 0))
      return this.write(Buffer.concat([packet('FAIL', error.length), Buffer.from(error)]))
    }
    if (id === 'RECV') {
      const file = this.tv.files.get(text)
      if (file == null) {
        const why = 'No such file or directory'
        return this.write(Buffer.concat([packet('FAIL', why.length), Buffer.from(why)]))
      }
      for (let at = 0; at < file.length; at += 65_536) {
        const part = file.subarray(at, at + 65_536)
        this.write(Buffer.concat([packet('DATA', part.length), part]))
      }
      return this.write(packet('DONE', 0))
    }
    const why = `unknown request ${id}`
    this.write(Buffer.concat([packet('FAIL', why.length), Buffer.from(why)]))
    return this.end()
  }
}

function packet(id: string, ...numbers: number[]): Buffer {
  const out = Buffer.alloc(4 + 4 * numbers.length)
  out.write(id, 'latin1')
  for (const [i, each] of numbers.entries()) out.writeUInt32LE(each >>> 0, 4 + 4 * i)
  return out
}
