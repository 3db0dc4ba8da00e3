import type { Messenger } from '../assemble.ts'
import { readStatement } from '../core/statement.ts'
import type { Archive } from './archive.ts'
import type { Copies } from './copies.ts'
import type { Finding } from './declared.ts'
import { isDue, isNewHour, isNewWeek } from './keep.ts'
import type { Logs } from './logs.ts'
import { cleanUp } from './tidy.ts'
import { verify } from './verify.ts'

/**
 * The nightly work, where it is due: in the first of a week clean-up, then a backup, then whether everything is whole. In
 * each other hour what has changed since is kept.
 * What was missed while the node was off is done at its next start. What is wrong; undefined: it was not due.
 */
export async function nightly(
  node: Messenger,
  archive: Archive,
  copies: Copies,
  logs: Logs,
  now: number
): Promise<Finding[] | undefined> {
  const { roster } = node.school
  if (roster == null) return undefined
  const made = await archive.list()
  const last = made.find(({ of }) => of == null)?.at ?? readStatement(roster.log[0]!).timeMs
  if (!isDue(last, now)) {
    if (made.length > 0 && isNewHour(made[0]!.at, now)) {
      await archive.make(false)
      await copies.spread()
    }
    return undefined
  }
  if (isNewWeek(last, now)) await cleanUp(node, archive, logs, now)
  await archive.make(true)
  await copies.spread()
  return (await verify(node, archive, false)).filter(({ state }) => state === 'fail')
}
