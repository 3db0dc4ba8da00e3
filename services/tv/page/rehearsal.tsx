import { Text } from '@mantine/core'
import type { Rehearsed } from './api.ts'
import type { Words } from './words.ts'

/** What a rehearsal says of each trigger. */
export function Rehearsal({ items, words }: { items: readonly Rehearsed[]; words: Words }) {
  const { t, time, number } = words
  const whens = [...new Set(items.flatMap(({ triggers }) => triggers.map(({ when }) => when)))]
  return (
    <div role="status">
      {whens.map(when => {
        const acted = items.flatMap(({ tv, triggers }) =>
          triggers.filter(each => each.when === when).flatMap(({ at }) => at.map(moment => ({ tv, moment })))
        )
        const last = acted.reduce<(typeof acted)[number] | undefined>(
          (newest, each) => (newest === undefined || each.moment > newest.moment ? each : newest),
          undefined
        )
        return (
          <Text key={when} size="sm" mt="xs">
            {t('rehearsed', {
              when,
              n: number(acted.length),
              tvs: number(new Set(acted.map(({ tv }) => tv)).size)
            })}
            {last !== undefined && `, ${t('rehearsedLast', { at: time(last.moment), tv: last.tv })}`}
          </Text>
        )
      })}
    </div>
  )
}
