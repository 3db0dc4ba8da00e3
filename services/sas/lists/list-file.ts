import { z } from 'zod'
import { riskOfMessage } from '../line/guard.ts'
import type { Listed } from './due.ts'
import { hashOf, type ListedPoll, messageOf } from './listed-poll.ts'
import { parsed, textOf } from './read.ts'

const MAX_POLLS = 64

export const listOf = <T>(schema: z.ZodType<T>) => z.array(schema).max(MAX_POLLS)

/** Each with the name by which it is known again; the same one twice is two. */
export function listedOf<T extends ListedPoll>(polls: readonly T[]): Listed<T>[] {
  const times = new Map<string, number>()
  return polls.map(poll => {
    const text = JSON.stringify(poll)
    const nth = times.get(text) ?? 0
    times.set(text, nth + 1)
    return { poll, hash: hashOf(text, nth), isControl: riskOfMessage(messageOf(1, poll)) === 'control' }
  })
}

/** A list that is read again where its file has changed; what is not right leaves what was right before. */
export function createListFile<T extends ListedPoll>(path: string, schema: z.ZodType<T>) {
  const list = listOf(schema)
  let text: string | undefined
  const file = {
    listed: [] as readonly Listed<T>[],
    /** @throws {ListFileError} it is not right, said at each look */
    async look(): Promise<void> {
      const found = await textOf(path)
      if (found === text) return
      file.listed = found == null ? [] : listedOf(parsed(path, found, list))
      text = found
    }
  }
  return file
}
