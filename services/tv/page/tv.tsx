import { Badge, Button, Group, Stack, Table, Text, TextInput, Title } from '@mantine/core'
import { ArrowLeft } from 'lucide-react'
import { useCallback, useState } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import { parseCondition } from '../condition.ts'
import { type Action, actionOf } from './actions.ts'
import type { CardRow, Field, TvRow } from './api.ts'
import { EVERY_MS, type PartProps } from './part.ts'
import { Screen } from './screen.tsx'

interface TvProps extends PartProps {
  row: TvRow
  close(): void
}

/** One TV: what it says, what cards say of it, what can be done with it. */
export function Tv({ row, close, ...part }: TvProps) {
  const { api, words, tell, fail } = part
  const { t, reading, lamp, time } = words
  const { value } = useLoaded(
    useCallback(() => api.cards(), [api]),
    { fail, everyMs: EVERY_MS }
  )
  const cards = (value?.items ?? []).filter(({ targets }) =>
    targets.some(({ agent, tv }) => agent === row.agent && tv === row.name)
  )
  const act = (action: Action): void =>
    void api.do(`name=${row.name} & agent=${row.agent}`, action).then(({ items }) => {
      const [found] = items
      const text = t('outcome', { tv: row.name, is: [found?.is, found?.why].filter(Boolean).join(', ') })
      if (found?.is === 'done') tell(text)
      else fail(new Error(text))
    }, fail)
  return (
    <Stack gap="md">
      <div>
        <Button variant="subtle" leftSection={<ArrowLeft size={16} aria-hidden />} onClick={close}>
          {t('back')}
        </Button>
      </div>
      <section className="card">
        <Title order={2} size="h4" style={{ overflowWrap: 'anywhere' }}>
          {row.name}
        </Title>
        <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          {[lamp(row.lamp), row.reason, `…${row.agent.slice(-10)}`].filter(Boolean).join(' · ')}
        </Text>
        {row.bookings.map(({ who, from, to, why }) => (
          <Text key={`${who} ${from}`} size="sm" mt="xs" style={{ overflowWrap: 'anywhere' }}>
            {t('held', { who, until: time(to), why })}
          </Text>
        ))}
        <Screen name={row.name} {...part} />
        <Do {...part} act={act} />
      </section>
      {cards.map(card => (
        <CardOf key={card.name} card={card} row={row} words={words} act={act} />
      ))}
      <section className="card">
        <Table aria-label={t('readings')} layout="fixed">
          <Table.Tbody>
            {Object.entries(row.readings).map(([name, value]) => (
              <Table.Tr key={name}>
                <Table.Th scope="row" fw={400}>
                  {name}
                </Table.Th>
                <Table.Td className="num" ta="right" style={{ overflowWrap: 'anywhere' }}>
                  {reading(value)}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </section>
    </Stack>
  )
}

function Do({ words: { t }, fail, act }: PartProps & { act(action: Action): void }) {
  const [text, setText] = useState('')
  return (
    <form
      aria-label={t('operation')}
      onSubmit={event => {
        event.preventDefault()
        const action = actionOf(text)
        if (action === undefined) fail(new Error(t('notAction', { text })))
        else act(action)
      }}
    >
      <Group align="flex-end" gap="sm" mt="sm">
        <TextInput
          label={t('operation')}
          description={t('operationText')}
          required
          value={text}
          onChange={({ currentTarget }) => setText(currentTarget.value)}
          style={{ flex: '1 1 14rem', maxWidth: '30rem' }}
        />
        <Button type="submit">{t('doIt')}</Button>
      </Group>
    </form>
  )
}

interface CardOfProps {
  card: CardRow
  row: TvRow
  words: PartProps['words']
  act(action: Action): void
}

function CardOf({ card, row, words: { reading }, act }: CardOfProps) {
  const [asked, setAsked] = useState<string>()
  const isSo = (condition: string | undefined): boolean =>
    condition !== undefined && parseCondition(condition)(row.readings)
  const colour = ({ warn, bad }: Field): string => (isSo(bad) ? 'red' : isSo(warn) ? 'orange' : 'teal')
  return (
    <section className="card" aria-label={card.name}>
      <Title order={3} size="h5" mb="xs">
        {card.name}
      </Title>
      <Group gap="lg">
        {card.fields.map(field => (
          <div key={`${field.label} ${field.metric}`}>
            <Text size="xs" c="dimmed">
              {field.label}
            </Text>
            <Badge variant="dot" tt="none" size="lg" color={colour(field)}>
              {reading(row.readings[field.metric] ?? '–')}
            </Badge>
          </div>
        ))}
      </Group>
      <Group gap="xs" mt="sm">
        {card.buttons.map(({ label, confirm, ...action }) => (
          <Button
            key={label}
            variant={asked === label ? 'filled' : 'default'}
            color="red.8"
            onClick={() => {
              // what needs a yes is pressed twice
              if (confirm && asked !== label) return setAsked(label)
              setAsked(undefined)
              act(action)
            }}
          >
            {asked === label ? `${label}?` : label}
          </Button>
        ))}
      </Group>
    </section>
  )
}
