import { Badge, Stack, Text, TextInput, UnstyledButton } from '@mantine/core'
import { useCallback, useState } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { TvRow } from './api.ts'
import { EVERY_MS, type PartProps } from './part.ts'
import { Tv } from './tv.tsx'
import type { Words } from './words.ts'

const SHOWN = ['power', 'source', 'volume', 'playback', 'campaign']

/** All TVs that a selector names, or one of them. */
export function Tvs(part: PartProps) {
  const { api, words, fail } = part
  const { t, number } = words
  const [typed, setTyped] = useState('*')
  const [on, setOn] = useState('*')
  const [opened, setOpened] = useState<string>()
  const { value } = useLoaded(
    useCallback(() => api.tvs(on), [api, on]),
    { fail, everyMs: EVERY_MS }
  )
  const rows = value?.items ?? []
  const row = rows.find(({ agent, name }) => `${agent} ${name}` === opened)
  if (row !== undefined) return <Tv {...part} row={row} close={() => setOpened(undefined)} />
  return (
    <Stack gap="sm">
      <form
        onSubmit={event => {
          event.preventDefault()
          setOn(typed.trim() === '' ? '*' : typed)
        }}
      >
        <TextInput
          label={t('which')}
          description={t('whichText')}
          value={typed}
          onChange={({ currentTarget }) => setTyped(currentTarget.value)}
          maw="30rem"
        />
      </form>
      {value !== undefined && value.silent.length > 0 && (
        <Text size="sm">{t('silent', { agents: value.silent.map(shortened).join(', ') })}</Text>
      )}
      {value !== undefined && rows.length === 0 && (
        <section className="card">
          <Text fw={600}>{t('noTvs')}</Text>
          <Text size="sm" c="dimmed">
            {t('noTvsText')}
          </Text>
        </section>
      )}
      {rows.length > 0 && (
        <>
          <Text size="sm" c="dimmed" role="status">
            {t('count', {
              up: number(rows.filter(({ lamp }) => lamp === 'shell').length),
              n: number(rows.length)
            })}
          </Text>
          <section className="card" style={{ paddingBlock: 0 }}>
            <ul aria-label={t('tvs')} style={{ margin: 0, padding: 0, listStyle: 'none' }}>
              {rows.map(each => (
                <li
                  key={`${each.agent} ${each.name}`}
                  style={{ borderBlockEnd: '1px solid var(--artel-line)' }}
                >
                  <Row row={each} words={words} open={() => setOpened(`${each.agent} ${each.name}`)} />
                </li>
              ))}
            </ul>
          </section>
        </>
      )}
    </Stack>
  )
}

const shortened = (agent: string): string => `…${agent.slice(-8)}`

function Row({ row, words, open }: { row: TvRow; words: Words; open(): void }) {
  const { reading, lamp } = words
  const values = SHOWN.flatMap(name => {
    const value = row.readings[name]
    return value === undefined || value === '' ? [] : [`${name} ${reading(value)}`]
  })
  const tags = Object.entries(row.tags).map(([name, value]) => `${name}=${value}`)
  return (
    <UnstyledButton w="100%" py="xs" onClick={open}>
      <Text fw={600} truncate>
        {row.name}{' '}
        <Badge variant="dot" tt="none" color={row.lamp === 'shell' ? 'teal' : 'red'}>
          {lamp(row.lamp)}
        </Badge>
      </Text>
      <Text size="xs" c="dimmed" className="num" truncate>
        {[...tags, ...values].join(' · ')}
      </Text>
    </UnstyledButton>
  )
}
