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
}

/**
 * Transactions of a database that only this process writes. What is written `later` shares one commit with everything
 * else of this turn of the event loop: a commit costs as much as a dozen rows.
 */
export function createCommits(db: DatabaseSync) {
  let waiting: Write[] = []
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

  function flush(): void {
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

  return {
    /** Everything that waits is written, so that it is found. */
    flush,

    /** One transaction, at once, after all that waits; within a write that came `later` a part of that. */
    transaction(write: () => void, hook: Hooks = {}): void {
      const hooked = (): void => {
        hooks!.at(-1)!.push(hook)
        write()
      }
      if (hooks != null) hooked()
      else {
        flush()
        commit([{ write: hooked }])
        hook.after?.()
      }
    },

    /**
     * Resolves when it is on disk, at the end of this turn; rejects with what `write` throws, which may be called twice.
     * `of`: what it is about.
     */
    later: (of: string, write: () => void): Promise<void> =>
      new Promise((done, failed) => {
        if (waiting.length === 0) setImmediate(flush)
        waiting.push({ of, write, done, failed })
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
