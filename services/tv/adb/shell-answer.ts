import { TvProtocolError } from '../errors.ts'

const STDOUT = 1
const STDERR = 2
const EXIT = 3
const HEAD_BYTES = 5

export interface ShellAnswer {
  out: Uint8Array
  /** what it wrote as errors; with shell v1 it stands among `out` */
  err: Uint8Array
  code: number
}

/** What shell v2 sent: any number of [id, length, bytes]. Pure. @throws {TvProtocolError} */
export function readShellV2(bytes: Uint8Array): ShellAnswer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const out: Uint8Array[] = []
  const err: Uint8Array[] = []
  let code: number | undefined
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const id = bytes[at]!
    const end = at + HEAD_BYTES + view.getUint32(at + 1, true)
    if (end > bytes.length) throw new TvProtocolError('the TV ended in the middle of an answer')
    const data = bytes.subarray(at + HEAD_BYTES, end)
    if (id === STDOUT) out.push(data)
    else if (id === STDERR) err.push(data)
    else if (id === EXIT) code = data[0]
    at = end
  }
  if (code == null) throw new TvProtocolError('the TV ended without an exit code')
  return { out: Buffer.concat(out), err: Buffer.concat(err), code }
}

const MARK = '--artel-exit--'
/** Makes a command of shell v1 say its exit code, which v1 does not have. */
export const withExitCode = (command: string): string => `${command}\necho "${MARK}$?"`

/** What shell v1 sent after `withExitCode`. Pure. @throws {TvProtocolError} */
export function readShellV1(bytes: Uint8Array): ShellAnswer {
  const text = Buffer.from(bytes)
  const at = text.lastIndexOf(MARK)
  const code = Number.parseInt(text.toString('latin1', at + MARK.length, at + MARK.length + 3), 10)
  if (at < 0 || Number.isNaN(code)) throw new TvProtocolError('the TV ended without an exit code')
  return { out: text.subarray(0, at), err: new Uint8Array(), code }
}
