import { setTimeout as wait } from 'node:timers/promises'
import type { Terminal } from '../../host/index.ts'

/** What one call of the operation `console` answers. */
interface Answer {
  at: number
  /** one character a byte */
  text: string
}

/** As telnet and virsh have it: Ctrl-] leaves, every other key goes to the guest. */
const LEAVE = 0x1d
const WAIT_MS = 20_000
/** A guest that writes without end is looked at so often. */
const PAUSE_MS = 30
const INPUT_BYTES = 1_024

/** The serial port of a machine on this terminal, until Ctrl-]. */
export async function runConsole(
  { input, output, signal }: Terminal,
  call: (input: Record<string, unknown>, signal: AbortSignal) => Promise<Answer>
): Promise<number> {
  const left = new AbortController()
  const ended = AbortSignal.any([signal, left.signal])
  const session = `terminal ${process.pid}`
  let seen = 0
  let pending = ''
  let sending: Promise<void> = Promise.resolve()

  async function send(): Promise<void> {
    while (pending !== '') {
      const text = pending.slice(0, INPUT_BYTES)
      pending = pending.slice(INPUT_BYTES)
      await call({ input: text, session, after: seen }, ended)
    }
  }

  /** Bytes as the operation takes them: characters of UTF-8. */
  const decoder = new TextDecoder()
  const type = (data: Buffer): void => {
    const leaves = data.indexOf(LEAVE)
    pending += decoder.decode(leaves < 0 ? data : data.subarray(0, leaves), { stream: true })
    sending = sending.then(send).catch((error: Error) => {
      pending = ''
      if (!ended.aborted) output.write(`\r\n[${error.message}]\r\n`)
    })
    if (leaves >= 0) void sending.finally(() => left.abort())
  }
  const gone = (): void => left.abort()

  output.write('Ctrl-] leaves.\r\n')
  input.setRawMode?.(true)
  input.on('data', type)
  input.once('end', gone)
  input.resume()
  try {
    // what stands there already comes at once
    for (let waitMs = 0; !ended.aborted; waitMs = WAIT_MS) {
      const { at, text } = await call({ after: seen, session, waitMs }, ended)
      seen = at
      output.write(Buffer.from(text, 'latin1'))
      await wait(PAUSE_MS, undefined, { signal: ended })
    }
  } catch (error) {
    if (!ended.aborted) throw error
  } finally {
    input.off('data', type)
    input.off('end', gone)
    input.setRawMode?.(false)
    input.pause()
    output.write('\r\n')
  }
  return 0
}
