import { Badge, Button } from '@mantine/core'
import { useCallback, useState } from 'react'
import { Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { EventRow } from './api.ts'
import { asText } from './items.tsx'
import type { PartProps } from './part.ts'
import { RuleSelect } from './rule-select.tsx'

const COLOURS: Readonly<Record<string, string>> = { new: 'teal', changed: 'blue', gone: 'gray' }

/** What has changed, the newest first. */
export function Events({ api, words, listen, fail, rules }: PartProps) {
  const { t, time, word } = words
  const [rule, setRule] = useState('')
  const { value } = useLoaded(
    useCallback(() => api.events(rule), [api, rule]),
    { listen, topic: 'watch:changed', fail }
  )
  const [older, setOlder] = useState<EventRow[]>([])
  if (value == null) return null
  // what came meanwhile has pushed some of the first page among the older ones
  const rows = [...new Map([...value.items, ...older].map(row => [row.number, row])).values()]
  const last = rows.at(-1)

  const nameOf = (id: string): string => rules?.find(each => each.id === id)?.rule.name ?? id
  function whatOf({ kind, old = {}, new: now = {} }: EventRow): string {
    if (kind !== 'changed') return asText(kind === 'gone' ? old : now)
    return Object.keys({ ...old, ...now })
      .filter(field => old[field] !== now[field])
      .map(field => t('change', { field, old: old[field] ?? '–', new: now[field] ?? '–' }))
      .join(' · ')
  }

  return (
    <section className="card" aria-label={t('events')}>
      <RuleSelect
        words={words}
        rules={rules}
        value={rule}
        onChange={chosen => {
          setOlder([])
          setRule(chosen)
        }}
      />
      <Rows label={t('events')} empty={t('noEvents')}>
        {rows.map(row => (
          <Row
            key={row.number}
            title={row.key}
            detail={`${whatOf(row)} · ${nameOf(row.rule)} · ${time(row.at)}`}
          >
            <Badge variant="dot" tt="none" color={COLOURS[row.kind] ?? 'orange'}>
              {word('kind', row.kind)}
            </Badge>
          </Row>
        ))}
      </Rows>
      {last != null && last.number > 1 && (
        <Button
          mt="sm"
          variant="default"
          onClick={() =>
            void api
              .events(rule, last.number)
              .then(({ items }) => setOlder(before => [...before, ...items]), fail)
          }
        >
          {t('older')}
        </Button>
      )}
    </section>
  )
}
