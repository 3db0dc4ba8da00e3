import type { DatabaseSync } from 'node:sqlite'
import { transact } from '../host/index.ts'

/** What is written in one turn is one commit: each costs a wait for the disk, and many TVs are asked at once. */
export function createTogether(db: DatabaseSync) {
  let works: (() => void)[] = []
  let done: Promise<void> | undefined

  async function commit(): Promise<void> {
    await new Promise(setImmediate)
    const all = works
    works = []
    done = undefined
    transact(db, () => {
      for (const work of all) work()
    })
  }

  /** Resolves when it is on the disk; throws what any of that turn throws, and then nothing of it is. */
  return (work: () => void): Promise<void> => {
    works.push(work)
    done ??= commit()
    return done
  }
}
