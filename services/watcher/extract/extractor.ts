import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { raceSignal } from 'race-signal'
import { decodeValue, encodeValue, type Outcome, type Sandbox, type Session } from '../../../sandbox/index.ts'
import { ExtractionError } from '../errors.ts'
import type { Extraction, Fields, Form } from './contract.ts'

const LIMITS = { memoryMb: 256, outputBytes: 8_000_000 }
const PAGE_MS = 20_000
/** Of one page; a list of more is one that was read wrongly. */
export const MAX_ITEMS = 20_000
const PROGRAM = join(import.meta.dirname, 'dist', 'program.js')

/** Reads pages behind the walls. */
export interface Extractor {
  /**
   * The items of each page, in order.
   *
   * @throws {ExtractionError} a selector that is none, a page that is not of its type or takes too long; names which
   */
  items(texts: readonly string[], extraction: Extraction, signal: AbortSignal): Promise<Fields[][]>
  /** The form at a CSS selector, as a browser would send it. @throws {ExtractionError} also where there is none */
  form(text: string, form: string, signal: AbortSignal): Promise<Form>
  /** Ends its processes. */
  close(): Promise<void>
}

/**
 * The text that the walls look at. As it makes objects, all that the program can reach is frozen once it is loaded, and then
 * its context serves again: there is no place where a page could leave something for the next one.
 */
const COPY = 'question => ({ ...question })'
/** Loading the program costs more than most pages, so a process that is free waits for the next one for so long. */
const IDLE_MS = 60_000
/** What the libraries might keep goes with the process. */
const MOST_PAGES = 1_000

/** Processes at once; the second only where the first reads so long at one thing, as a hostile page until its deadline. */
const AT_ONCE = 2
const PATIENCE_MS = 250

/** @param timeoutMs for one page */
export function createExtractor(sandbox: Sandbox, timeoutMs = PAGE_MS): Extractor {
  const free = new Map<Session, NodeJS.Timeout>()
  const pages = new WeakMap<Session, number>()
  const waiting: (() => void)[] = []
  let busy = 0
  /** when what is read now was begun, or what was read before was ended; a process that starts holds nobody up */
  let movedAt = Number.POSITIVE_INFINITY
  const closing = new AbortController()

  /** Waits for the first place, or after a while for any. */
  async function enter(signal: AbortSignal): Promise<void> {
    if (busy === 0) {
      busy++
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.push(resolve)
    let impatient = setTimeout(look, PATIENCE_MS)
    function look(): void {
      if (busy >= AT_ONCE) return
      const held = performance.now() - movedAt
      if (held < PATIENCE_MS) {
        // many wait, and it goes on
        impatient = setTimeout(look, PATIENCE_MS - Math.max(0, held))
        return
      }
      busy++
      leave()
    }
    try {
      await raceSignal(promise, signal)
    } catch (error) {
      const at = waiting.indexOf(resolve)
      if (at === -1) leave()
      else waiting.splice(at, 1)
      throw error
    } finally {
      clearTimeout(impatient)
    }
  }

  /** Gives the place to who waits longest. */
  function leave(): void {
    movedAt = performance.now()
    const next = waiting.shift()
    if (next == null) busy--
    else next()
  }

  async function take(signal: AbortSignal): Promise<Session> {
    const [kept] = free
    if (kept == null) {
      const program = await raceSignal(programText(closing.signal), signal)
      const driver = `copy => { ${program}; return question => answer(copy(question)) }`
      return sandbox.open(
        { kind: 'function', source: COPY, driver },
        { limits: { ...LIMITS, timeoutMs }, requester: 'watcher', signal }
      )
    }
    clearTimeout(kept[1])
    free.delete(kept[0])
    return kept[0]
  }

  async function giveBack(session: Session, read: number): Promise<void> {
    const all = (pages.get(session) ?? 0) + read
    pages.set(session, all)
    if (closing.signal.aborted || all >= MOST_PAGES) return session.close()
    const timer = setTimeout(() => {
      free.delete(session)
      void session.close()
    }, IDLE_MS)
    free.set(session, timer.unref())
  }

  async function run(inputs: Uint8Array[], signal: AbortSignal): Promise<Outcome[]> {
    await enter(signal)
    try {
      movedAt = Number.POSITIVE_INFINITY
      const session = await take(signal)
      movedAt = performance.now()
      let outcomes: Outcome[]
      try {
        outcomes = await session.run(inputs, { signal })
      } catch (error) {
        await session.close()
        throw error
      }
      await giveBack(session, inputs.length)
      return outcomes
    } finally {
      leave()
    }
  }

  async function ask(questions: object[], signal: AbortSignal): Promise<unknown[]> {
    const outcomes = await run(
      questions.map(question => encodeValue(question)),
      signal
    )
    return outcomes.map((outcome, i) => {
      if (outcome.ok) return decodeValue(outcome.value)
      const { name, message } = outcome.failure
      throw new ExtractionError(`page ${i + 1} cannot be read (${name}): ${message.slice(0, 300)}`)
    })
  }

  return {
    async items(texts, extraction, signal) {
      const pages = (await ask(
        texts.map(text => ({ ask: 'items', text, extraction })),
        signal
      )) as Fields[][]
      const long = pages.findIndex(({ length }) => length > MAX_ITEMS)
      if (long !== -1) throw new ExtractionError(`page ${long + 1} has more than ${MAX_ITEMS} items`)
      return pages
    },
    async form(text, form, signal) {
      const [found] = await ask([{ ask: 'form', text, form }], signal)
      if (found == null) throw new ExtractionError(`there is no form at "${form}"`)
      return found as Form
    },
    async close() {
      closing.abort()
      const sessions = [...free.keys()]
      for (const timer of free.values()) clearTimeout(timer)
      free.clear()
      await Promise.all(sessions.map(session => session.close()))
    }
  }
}

let program: Promise<string> | undefined

/** Read once, also where several ask at the same time; what failed is tried again. */
function programText(signal: AbortSignal): Promise<string> {
  program ??= readProgram(signal).catch(error => {
    program = undefined
    throw error
  })
  return program
}

/** A checkout makes it when it is first asked for; a package has it. */
async function readProgram(signal: AbortSignal): Promise<string> {
  if (import.meta.filename.endsWith('.ts')) await (await import('./build-program.ts')).buildProgram(signal)
  return readFile(PROGRAM, 'utf8')
}
