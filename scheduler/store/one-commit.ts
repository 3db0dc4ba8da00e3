import type { DatabaseSync } from 'node:sqlite'

/** What goes with a transaction outside of the database. */
interface Hooks {
  /** once it is committed */
  after?(): void
  /** where it is rolled back */
  undo?(): void
}

interface Write {
  of: string
  write(): void
  done(): void
  failed(err: unknown): void
  isReady: boolean
}

/**
 * Transactions of a database that only this process writes. What is written `later` shares one commit with everything
 * else of this turn of the event loop: a commit costs as much as a dozen rows.
 */
export function createCommits(db: DatabaseSync) {
  let waiting: Write[] = []
  /** what is not ready, and what came after it of the same */
  const held = new Map<string, Write[]>()
  /** of the transaction under way, by the write that they belong to */
  let hooks: Hooks[][] | undefined

  /** One transaction; what is to follow it, write by write. */
  function commit(writes: readonly Pick<Write, 'write'>[]): Hooks[][] {
    const all: Hooks[][] = []
    db.exec('BEGIN')
    hooks = all
    try {
      for (const { write } of writes) {
        all.push([])
        write()
      }
      db.exec('COMMIT')
    } catch (err) {
      // a full disk has rolled it back already
      if (db.isTransaction) db.exec('ROLLBACK')
      for (const { undo } of all.flat()) undo?.()
      throw err
    } finally {
      hooks = undefined
    }
    return all
  }

  /** Each write stands for itself, but what comes after one of the same that failed fails with it. */
  function commitEach(writes: readonly Write[]): void {
    const broken = new Map<string, unknown>()
    for (const write of writes)
      try {
        if (broken.has(write.of)) throw broken.get(write.of)
        finish(write, commit([write])[0]!)
      } catch (err) {
        broken.set(write.of, err)
        write.failed(err)
      }
  }

  function enqueue(write: Write): void {
    if (waiting.length === 0) setImmediate(commitWaiting)
    waiting.push(write)
  }

  function release(of: string): void {
    const writes = held.get(of) ?? []
    const notYet = writes.findIndex(({ isReady }) => !isReady)
    for (const write of writes.splice(0, notYet === -1 ? writes.length : notYet)) enqueue(write)
    if (writes.length === 0) held.delete(of)
  }

  function commitWaiting(): void {
    if (waiting.length === 0) return
    const writes = waiting
    waiting = []
    let all: Hooks[][]
    try {
      all = commit(writes)
    } catch {
      // which of them cannot be written, or that none can, shows one by one
      commitEach(writes)
      return
    }
    for (const [i, write] of writes.entries()) finish(write, all[i]!)
  }

  function flush(of?: string): void {
    for (const [each, writes] of held) {
      if (of != null && each !== of) continue
      held.delete(each)
      for (const write of writes) enqueue(write)
    }
    commitWaiting()
  }

  return {
    /** Everything that waits is written, so that it is found; of what is not ready only what is `of` this, if that is said. */
    flush,

    /** One transaction, at once, after all that waits and is ready or `of` the same; within a write that came `later` a part of that. */
    transaction(of: string, write: () => void, hook: Hooks = {}): void {
      const hooked = (): void => {
        hooks!.at(-1)!.push(hook)
        write()
      }
      if (hooks != null) hooked()
      else {
        flush(of)
        commit([{ write: hooked }])
        hook.after?.()
      }
    },

    /**
     * Resolves when it is on disk, at the end of this turn; rejects with what `write` throws, which may be called twice.
     * `of`: what it is about. `ready`: not before that has settled, unless it is to be found; what follows of the same waits, too.
     */
    later: (of: string, write: () => void, ready?: Promise<void>): Promise<void> =>
      new Promise((done, failed) => {
        const each: Write = { of, write, done, failed, isReady: ready == null }
        const writes = held.get(of)
        if (writes != null) writes.push(each)
        else if (ready == null) enqueue(each)
        else held.set(of, [each])
        const goOn = (): void => {
          each.isReady = true
          release(of)
        }
        // `write` says what failed
        void ready?.then(goOn, goOn)
      })
  }
}

function finish({ done, failed }: Write, hooks: Hooks[]): void {
  try {
    for (const { after } of hooks) after?.()
    done()
  } catch (err) {
    failed(err)
  }
}
