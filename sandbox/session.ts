import type { Child, End } from './child.ts'
import { FRAME, type LoadMessage } from './child-main.ts'
import type { Failure, FailureName, Limits, Outcome, Session } from './contract.ts'
import { ProgramError, SandboxUnavailableError } from './errors.ts'
import { frame } from './frames.ts'
import { decodeValue } from './value.ts'

export interface SessionInit {
  class: string
  limits: Limits
  message: LoadMessage
  /** context and WebAssembly module, as the message says */
  binary: (Uint8Array | undefined)[]
  /** a warm child, nobody else's */
  take: () => Promise<Child>
  onClose: () => void
}

const MIB_BYTES = 1 << 20
const POLL_MS = 10
const SLACK_MB = 64 // asked for but not touched, and what the program may take between two looks at it
const FAILURE_BYTES = 200_000 // name, message and stack as the isolate cuts them
const RESULT_HEAD_BYTES = 16
const OUTCOME_HEAD_BYTES = 9
const STATUS: FailureName[] = ['threw', 'threw', 'invalid-result']

/** Loads the program into a child and answers the session. Throws ProgramError, SandboxUnavailableError. */
export async function openSession(init: SessionInit): Promise<Session> {
  const { limits } = init
  let child: Child | undefined = await start()
  let closed = false
  let queue: Promise<unknown> = Promise.resolve()

  async function start(): Promise<Child> {
    const fresh = await init.take()
    const json = Buffer.from(JSON.stringify(init.message))
    const size = Buffer.alloc(4)
    size.writeUInt32LE(json.length)
    fresh.send(frame(FRAME.load, size, json, ...init.binary.filter(part => part !== undefined)))
    const timer = setTimeout(() => fresh.kill(), Math.max(limits.timeoutMs, 5_000))
    const answer = new Promise<{ type: number; body: Buffer } | End>(resolve => {
      fresh.onFrame = (type, body) => resolve({ type, body })
      fresh.ended.then(resolve)
    })
    const loaded = await answer
    clearTimeout(timer)
    if (typeof loaded === 'string')
      throw new SandboxUnavailableError(`the child ended while loading: ${loaded}`)
    if (loaded.type === FRAME.refused) {
      fresh.kill()
      throw refusal(loaded.body.toString())
    }
    try {
      await fresh.limitMemory((limits.memoryMb + SLACK_MB) * MIB_BYTES)
    } catch (error) {
      fresh.kill()
      throw new SandboxUnavailableError(
        `the memory of the child could not be limited: ${(error as Error).message}`
      )
    }
    fresh.ended.then(() => {
      if (child === fresh) child = undefined
    })
    return fresh
  }

  /** One frame to one child. Answers the outcomes that came back and, if it ended before the last, why. */
  function attempt(on: Child, inputs: Uint8Array[], careful: boolean, signal?: AbortSignal) {
    return new Promise<{ outcomes: Outcome[]; failure?: Failure; ms: number; sure: boolean }>(resolve => {
      const outcomes: Outcome[] = []
      let failure: Failure | undefined
      let since = performance.now()
      let chunk = careful ? 1 : (chunkOf.get(on) ?? 1)
      let settled = false
      const atMost = on.residentBytes() + limits.memoryMb * MIB_BYTES

      const head = new Uint32Array(2 + inputs.length)
      head[0] = careful ? 1 : 0
      head[1] = inputs.length
      for (let i = 0; i < inputs.length; i++) head[2 + i] = inputs[i]!.byteLength

      const end = (name: FailureName, message: string) => {
        failure ??= { name, message }
        on.kill()
      }
      const late = () => end('timeout', `no result after ${limits.timeoutMs} ms`)
      let deadline = setTimeout(late, limits.timeoutMs)
      const watch = setInterval(() => {
        if (on.residentBytes() > atMost) end('out-of-memory', `more than ${limits.memoryMb} MB of memory`)
      }, POLL_MS)
      const onAbort = () => end('aborted', 'aborted by the caller')
      const settle = () => {
        if (settled) return
        settled = true
        clearTimeout(deadline)
        clearInterval(watch)
        signal?.removeEventListener('abort', onAbort)
        on.onFrame = () => {}
        resolve({
          outcomes,
          failure,
          ms: performance.now() - since,
          sure: Math.min(chunk, inputs.length - outcomes.length) === 1
        })
      }
      signal?.addEventListener('abort', onAbort)
      on.maxFrameBytes =
        RESULT_HEAD_BYTES + 1024 * (OUTCOME_HEAD_BYTES + Math.max(FAILURE_BYTES, limits.outputBytes))
      on.onFrame = (type, body) => {
        if (type !== FRAME.results || failure !== undefined) return
        try {
          chunk = readOutcomes(body, outcomes, inputs.length, limits.outputBytes)
          if (!careful) chunkOf.set(on, chunk)
        } catch (error) {
          return end('invalid-result', `the child spoke nonsense: ${(error as Error).message}`)
        }
        since = performance.now()
        if (outcomes.length === inputs.length) return settle()
        clearTimeout(deadline)
        deadline = setTimeout(late, limits.timeoutMs)
      }
      on.ended.then(reason => {
        failure ??=
          reason === 'out-of-memory'
            ? { name: 'out-of-memory', message: `more than ${limits.memoryMb} MB of memory` }
            : { name: 'threw', message: 'the process of the program crashed' }
        settle()
      })
      const padding = new Uint8Array(inputs.length % 2 === 1 ? 1 : 5) // see `run` in isolate-main.ts
      on.send([...frame(FRAME.run, bytesOf(head), padding, ...inputs)])
      if (signal?.aborted) onAbort()
    })
  }

  async function runAll(inputs: Uint8Array[], signal?: AbortSignal): Promise<Outcome[]> {
    const outcomes: Outcome[] = []
    let careful = false
    while (outcomes.length < inputs.length) {
      if (closed || signal?.aborted) {
        outcomes.push(
          failed({ name: 'aborted', message: closed ? 'the session is closed' : 'aborted by the caller' }, 0)
        )
        continue
      }
      child ??= await start()
      const rest = inputs.slice(outcomes.length)
      const attempted = await attempt(child, rest, careful, signal)
      outcomes.push(...attempted.outcomes)
      if (attempted.failure === undefined) continue
      await child?.ended
      // among several that were under way together only a second, careful run can say which one it was
      if (attempted.sure || attempted.failure.name === 'aborted')
        outcomes.push(failed(attempted.failure, attempted.ms))
      else careful = true
    }
    return outcomes
  }

  return {
    class: init.class,
    run(inputs, { signal } = {}) {
      if (closed) return Promise.reject(new SandboxUnavailableError('the session is closed, open a new one'))
      const result = queue.then(() => runAll(inputs, signal))
      queue = result.catch(() => {}) // the caller of that run has the error; the next one must not
      return result
    },
    async close() {
      if (closed) return
      closed = true
      const last = child
      last?.kill()
      await last?.ended
      init.onClose()
    }
  }
}

const chunkOf = new WeakMap<Child, number>()

function failed(failure: Failure, ms: number): Outcome {
  return { ok: false, failure, ms }
}

function bytesOf(words: Uint32Array) {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}

/** Appends the outcomes of one results frame and answers how many the child will do next before it speaks again. */
function readOutcomes(body: Buffer, outcomes: Outcome[], most: number, outputBytes: number): number {
  const total = body.readDoubleLE(0)
  const count = body.readUInt32LE(8)
  const chunk = body.readUInt32LE(12)
  const ms = total / Math.max(count, 1)
  if (outcomes.length + count > most) throw new RangeError(`${count} outcomes too many`)
  let at = RESULT_HEAD_BYTES
  for (let i = 0; i < count; i++) {
    const status = body[at]!
    const size = body.readUInt32LE(at + 1)
    at += OUTCOME_HEAD_BYTES
    if (at + size > body.length) throw new RangeError('an outcome longer than its frame')
    const value = body.subarray(at, at + size)
    at += size
    if (status === 0) {
      if (size > outputBytes) throw new RangeError(`an output of ${size} bytes`)
      outcomes.push({ ok: true, value, ms })
    } else {
      outcomes.push(failed(readFailure(STATUS[status] ?? 'threw', value), ms))
    }
  }
  return chunk
}

function readFailure(name: FailureName, value: Uint8Array): Failure {
  const [type, message, stack] = decodeValue(value, { maxBytes: FAILURE_BYTES }) as string[]
  return { name, message: type ? `${type}: ${message}` : String(message), stack: authorFrames(String(stack)) }
}

/** Only the frames of the author's texts: `task:3:5`, never a file of ours. */
function authorFrames(stack: string): string | undefined {
  const lines = stack
    .split('\n')
    .filter(line => /^\s+at /.test(line) && !/artel:|<isolated-vm|\(native|<anonymous>\)?$/.test(line))
  return lines.length === 0 ? undefined : lines.join('\n')
}

/** V8's own words about a text that acorn let through: `message [task:3:5]`. */
function refusal(text: string): ProgramError {
  const match = /^(.*) \[(.*):(\d+):(\d+)\]$/s.exec(text)
  if (match === null) return new ProgramError(text)
  return new ProgramError(match[1]!, match[2]!, Number(match[3]), Number(match[4]))
}
