import { setImmediate } from 'node:timers/promises'
import { type Child, type End, MAX_THREADS, SAID_CHARS } from './child.ts'
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
// How often the node looks at what a child holds. To wake up for it costs 0.1 ms: as rarely as the room that is left allows.
const POLL_MS = 10
const ROOMY_POLL_MS = 50
const IDLE_POLL_MS = 100 // of one that was given nothing to do
const BYTES_PER_MS = 5 * 2 ** 20 // no more can be touched on one processor, page tables included
const STOOD_STILL_MS = 100 // a timer that comes so late was held up by this process itself
const LOAD_MS = 5_000 // compiling a large module may take longer than one input may
const IN_FLIGHT = 2
const TIMER_MS = 2 ** 31 - 1 // a longer timer fires at once
const REFUSAL_CHARS = 1_000 // the pattern below takes quadratic time
const FLUSH_BYTES = (1 << 20) + 65_536 // of isolate-main.ts, and the heads of what is in there
const SLACK_MB = 64 // asked for but not touched, and what the program may take between two looks at it
const FAILURE_BYTES = 200_000 // name, message and stack as the isolate cuts them
const RESULT_HEAD_BYTES = 16
const OUTCOME_HEAD_BYTES = 9
const STATUS: FailureName[] = ['threw', 'threw', 'invalid-result']

interface Batch {
  inputs: Uint8Array[]
  outcomes: Outcome[]
  /** one input at a time, because among several nobody could tell which one ended the process */
  careful: boolean
  signal?: AbortSignal
  resolve: (outcomes: Outcome[]) => void
  reject: (error: Error) => void
}

/**
 * Loads the program into a child and answers the session. Throws ProgramError, SandboxUnavailableError.
 *
 * Batches wait in a queue; the first two are with the child, so that it always has the next one at hand. What the
 * child sends belongs to the first. When the child ends, the first batch loses the input that was under way; all that
 * was not answered goes to the next child.
 */
export async function openSession(init: SessionInit): Promise<Session> {
  const { limits } = init
  const timeoutMs = Math.min(limits.timeoutMs, TIMER_MS)
  const queue: Batch[] = []
  let child: Child | undefined
  let starting = false
  let sent = 0
  let chunk = 1 // how many inputs the child does before it speaks
  let failure: Failure | undefined // why we end the child
  let full = false // an input was refused memory in this child, and what it took may not be collected yet
  let since = 0
  let deadline: NodeJS.Timeout | undefined
  let watch = (_ms: number) => {} // looks at what the child holds, in so many ms at the latest
  let closed = false
  let saidBefore = '' // by children that are gone

  async function start(): Promise<Child> {
    const fresh = await init.take()
    const json = Buffer.from(JSON.stringify(init.message))
    const size = Buffer.alloc(4)
    size.writeUInt32LE(json.length)
    const answer = new Promise<{ type: number; body: Buffer } | End>(resolve => {
      fresh.onFrame = (type, body) => resolve({ type, body })
      fresh.ended.then(resolve)
    })
    fresh.send(frame(FRAME.load, size, json, ...init.binary.filter(part => part !== undefined)))
    const timer = setTimeout(() => fresh.kill(), Math.max(timeoutMs, LOAD_MS))
    const loaded = await answer
    clearTimeout(timer)
    if (typeof loaded === 'string') {
      throw new SandboxUnavailableError(`the child ended while it loaded the program: ${loaded}`)
    }
    if (loaded.type === FRAME.refused) {
      fresh.kill()
      throw refusal(loaded.body.toString())
    }
    try {
      await fresh.limit((limits.memoryMb + SLACK_MB) * MIB_BYTES)
    } catch (error) {
      fresh.kill()
      throw new SandboxUnavailableError(
        `the memory of the child could not be limited: ${(error as Error).message}`
      )
    }
    fresh.maxFrameBytes = FLUSH_BYTES + Math.max(FAILURE_BYTES, limits.outputBytes)
    fresh.onFrame = (type, body) => {
      if (failure === undefined) receive(type, body)
    }
    chunk = 1
    failure = undefined
    full = false
    const atMost = fresh.usage().bytes + limits.memoryMb * MIB_BYTES
    let next: NodeJS.Timeout | undefined
    let nextAt = Number.POSITIVE_INFINITY
    const look = () => {
      nextAt = Number.POSITIVE_INFINITY
      const { bytes, threads } = fresh.usage()
      if (bytes > atMost) end('out-of-memory', `more than ${limits.memoryMb} MB of memory`)
      if (threads > MAX_THREADS) end('out-of-memory', `more than ${MAX_THREADS} threads`)
      const roomMs = (atMost - bytes) / BYTES_PER_MS
      watch(sent === 0 ? IDLE_POLL_MS : Math.max(POLL_MS, Math.min(roomMs, ROOMY_POLL_MS)))
    }
    watch = ms => {
      const at = performance.now() + ms
      if (at >= nextAt) return
      clearTimeout(next)
      nextAt = at
      next = setTimeout(look, ms)
      next.unref?.() // browsers have timers without it
    }
    watch(POLL_MS)
    fresh.ended.then(reason => {
      clearTimeout(next)
      if (child === fresh) lose(reason)
    })
    if (closed) fresh.kill()
    if (!fresh.alive) throw new SandboxUnavailableError('the child ended before it was given work')
    return fresh
  }

  function end(name: FailureName, message: string) {
    failure ??= { name, message }
    child?.kill()
  }

  /** Where this process stood still, the result may have come: timers go before what is to be read. */
  function watchTime(ms: number, isAgain: boolean) {
    const due = performance.now() + ms
    deadline = setTimeout(() => {
      const lateMs = performance.now() - due
      if (isAgain || lateMs < STOOD_STILL_MS) end('timeout', `no result after ${limits.timeoutMs} ms`)
      else watchTime(Math.min(lateMs, timeoutMs), true)
    }, ms)
  }

  /** The first batch begins, or goes on after it was heard of. */
  function arm() {
    clearTimeout(deadline)
    since = performance.now()
    if (sent === 0) return
    watchTime(timeoutMs, false)
    if (queue[0]!.signal?.aborted) end('aborted', 'aborted by the caller')
  }

  function receive(type: number, body: Buffer) {
    const batch = queue[0]
    let got = 0
    try {
      if (type !== FRAME.results || batch === undefined || sent === 0) throw new RangeError('nobody asked')
      const before = batch.outcomes.length
      chunk = readOutcomes(body, batch.outcomes, batch.inputs.length, limits.outputBytes)
      got = batch.outcomes.length - before
      full ||= batch.outcomes.slice(before).some(isOutOfMemory)
    } catch (error) {
      return end('invalid-result', `the child spoke nonsense: ${(error as Error).message}`)
    }
    if (got === 0) return // it only made room for a large one, and its time runs on
    if (batch.outcomes.length === batch.inputs.length) {
      sent--
      queue.shift()
      batch.resolve(batch.outcomes)
      pump()
    }
    arm()
  }

  /** The child is gone. */
  function lose(reason: End) {
    const batch = sent > 0 ? queue[0] : undefined
    const why = failure ?? describeEnd(reason)
    saidBefore = (saidBefore + child!.said).slice(0, SAID_CHARS)
    child = undefined
    sent = 0
    arm()
    if (batch !== undefined) {
      const missing = batch.inputs.length - batch.outcomes.length
      const alone = batch.careful || Math.min(chunk, missing) === 1
      const isOfAnother = full && why.name === 'out-of-memory'
      if (why.name === 'aborted') abandon(batch, why)
      else if (alone && !isOfAnother) batch.outcomes.push(failed(why, performance.now() - since))
      else batch.careful = true
      if (batch.outcomes.length === batch.inputs.length) {
        queue.shift()
        batch.resolve(batch.outcomes)
      }
    }
    pump()
  }

  function describeEnd(reason: End): Failure {
    return reason === 'out-of-memory'
      ? { name: 'out-of-memory', message: `more than ${limits.memoryMb} MB of memory` }
      : { name: 'threw', message: 'the process of the program crashed' }
  }

  function abandon(batch: Batch, why: Failure) {
    while (batch.outcomes.length < batch.inputs.length) batch.outcomes.push(failed(why, 0))
  }

  function pump() {
    if (closed || queue.length === 0 || starting) return
    if (child === undefined) {
      starting = true
      start()
        .then(fresh => {
          child = fresh
        })
        .catch(error => {
          for (const batch of queue.splice(0)) batch.reject(error)
        })
        .finally(() => {
          starting = false
          pump()
        })
      return
    }
    while (sent < Math.min(queue.length, IN_FLIGHT)) {
      const { inputs, outcomes, careful } = queue[sent]!
      const rest = outcomes.length === 0 ? inputs : inputs.slice(outcomes.length)
      const head = new Uint32Array(2 + rest.length)
      head[0] = careful ? 1 : 0
      head[1] = rest.length
      for (let i = 0; i < rest.length; i++) head[2 + i] = rest[i]!.byteLength
      const padding = new Uint8Array(rest.length % 2 === 1 ? 1 : 5) // see `run` in isolate-main.ts
      child.send(frame(FRAME.run, new Uint8Array(head.buffer), padding, ...rest))
      sent++
      if (sent > 1) continue
      arm()
      watch(POLL_MS)
    }
  }

  child = await start()
  return {
    class: init.class,
    get said() {
      return saidBefore + (child?.said ?? '')
    },
    async run(inputs, { signal } = {}) {
      if (closed) throw new SandboxUnavailableError('the session is closed, open a new one')
      if (inputs.length === 0) return []
      const onAbort = () => {
        if (queue[0] === batch && sent > 0) return end('aborted', 'aborted by the caller')
        // not begun: it never will be. If it is with the child already, `arm` sees the signal when its turn comes
        const at = queue.indexOf(batch)
        if (at < sent) return
        queue.splice(at, 1)
        abandon(batch, { name: 'aborted', message: 'aborted by the caller' })
        batch.resolve(batch.outcomes)
      }
      let batch!: Batch
      try {
        const outcomes = await new Promise<Outcome[]>((resolve, reject) => {
          batch = { inputs, outcomes: [], careful: false, signal, resolve, reject }
          queue.push(batch)
          if (signal?.aborted) onAbort()
          else signal?.addEventListener('abort', onAbort)
          pump()
        })
        // what was printed before a failure is there already, in another pipe
        if (outcomes.some(({ ok }) => !ok)) await setImmediate()
        return outcomes
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
    },
    async close() {
      if (closed) return
      closed = true
      const last = child
      for (const batch of queue.splice(0)) {
        abandon(batch, { name: 'aborted', message: 'the session was closed' })
        batch.resolve(batch.outcomes)
      }
      sent = 0
      clearTimeout(deadline)
      last?.kill()
      await last?.ended
      init.onClose()
    }
  }
}

const isOutOfMemory = (outcome: Outcome): boolean => !outcome.ok && outcome.failure.name === 'out-of-memory'

function failed(failure: Failure, ms: number): Outcome {
  return { ok: false, failure, ms }
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

/** What V8 or Python throws in the author's code where the kernel or the isolate gives no more memory. */
const NO_MEMORY =
  /^MemoryError\b|^RangeError: (Array buffer allocation failed|WebAssembly\.Memory\(\): could not allocate memory)/

function readFailure(name: FailureName, value: Uint8Array): Failure {
  const [type, text, stack] = decodeValue(value, { maxBytes: FAILURE_BYTES }) as string[]
  const message = type ? `${type}: ${text}` : String(text)
  return {
    name: NO_MEMORY.test(message) ? 'out-of-memory' : name,
    message,
    stack: authorFrames(String(stack))
  }
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
  if (text.length > REFUSAL_CHARS) return new ProgramError(text.slice(0, REFUSAL_CHARS))
  const match = /^(.*) \[(.*):(\d+):(\d+)\]$/s.exec(text)
  if (match === null) return new ProgramError(text)
  return new ProgramError(match[1]!, match[2]!, Number(match[3]), Number(match[4]))
}
