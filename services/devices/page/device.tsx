import { Button, Group, NativeSelect, SegmentedControl, Stack, Table, Text, Title } from '@mantine/core'
import { ArrowLeft } from 'lucide-react'
import { useCallback, useEffect, useState } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { DeviceRow, EventRow, PageProps, Point } from './api.ts'
import { Commands } from './commands.tsx'
import type { PartProps } from './part.ts'
import { nameOf } from './words.ts'

const DAY_MS = 86_400_000
const SPANS = { day: { ms: DAY_MS, step: 'minute' }, month: { ms: 30 * DAY_MS, step: 'hour' } } as const
type Span = keyof typeof SPANS
/** Numbers by the minute change once a minute. */
const REFRESH_MS = 30_000

interface DeviceProps extends PartProps {
  device: DeviceRow
  Chart: PageProps['Chart']
  close(): void
}

/** One device: what it says now, its numbers over time, what happened. */
export function Device({ device, Chart, close, ...part }: DeviceProps) {
  const { words } = part
  const { t, reading } = words
  const units = device.about?.readings ?? {}
  return (
    <Stack gap="md">
      <div>
        <Button variant="subtle" leftSection={<ArrowLeft size={16} aria-hidden />} onClick={close}>
          {t('back')}
        </Button>
      </div>
      <section className="card">
        <Title order={2} size="h4" style={{ overflowWrap: 'anywhere' }}>
          {nameOf(device)}
        </Title>
        <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          {device.id} · {t('agent', { agent: `…${device.agent.slice(-10)}` })}
        </Text>
        <Table aria-label={t('readings')} mt="sm" layout="fixed">
          <Table.Tbody>
            {Object.entries(device.readings).map(([name, value]) => (
              <Table.Tr key={name}>
                <Table.Th scope="row" fw={400}>
                  {name}
                </Table.Th>
                <Table.Td className="num" ta="right">
                  {reading(value, units[name]?.unit)}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </section>
      <Commands device={device} {...part} />
      <History device={device} Chart={Chart} {...part} />
      <Events device={device} {...part} />
    </Stack>
  )
}

function History({ device, Chart, api, words, fail }: Omit<DeviceProps, 'close'>) {
  const { t, number } = words
  const names = Object.entries(device.readings)
    .filter(([, value]) => typeof value === 'number')
    .map(([name]) => name)
  const [chosen, setChosen] = useState<string>()
  const [span, setSpan] = useState<Span>('day')
  const [points, setPoints] = useState<Point[]>()
  const { id } = device
  const reading = chosen ?? names[0]
  useEffect(() => {
    if (reading === undefined) return
    let isOver = false
    const load = (): void => {
      const to = Date.now() + SPANS.day.ms
      const from = Date.now() - SPANS[span].ms
      api.history(id, reading, SPANS[span].step, from, to).then(
        answer => isOver || setPoints(answer.points),
        (error: Error) => isOver || fail(error)
      )
    }
    load()
    const timer = window.setInterval(load, REFRESH_MS)
    return () => {
      isOver = true
      window.clearInterval(timer)
    }
  }, [api, fail, id, reading, span])
  if (reading === undefined) return null
  return (
    <section className="card">
      <Title order={3} size="h5" mb="xs">
        {t('history')}
      </Title>
      <Group mb="sm" align="flex-end">
        <NativeSelect
          label={t('reading')}
          value={reading}
          onChange={({ currentTarget }) => setChosen(currentTarget.value)}
          data={names}
        />
        <SegmentedControl
          aria-label={t('history')}
          value={span}
          onChange={value => setSpan(value as Span)}
          data={(Object.keys(SPANS) as Span[]).map(value => ({ value, label: t(value) }))}
        />
      </Group>
      {points === undefined ? null : points.length === 0 ? (
        <Text size="sm">{t('noHistory')}</Text>
      ) : (
        <Chart
          label={`${reading}, ${t('mean')}, ${t('least')}, ${t('most')}`}
          data={[
            points.map(point => point.t / 1_000),
            points.map(({ mean }) => mean),
            points.map(({ min }) => min),
            points.map(({ max }) => max)
          ]}
          names={[t('mean'), t('least'), t('most')]}
          isTime
          format={number}
        />
      )}
    </section>
  )
}

function Events({ device, api, words, listen, fail }: PartProps & { device: DeviceRow }) {
  const { t, time } = words
  const load = useCallback(() => api.events(device.id), [api, device.id])
  const { value } = useLoaded<{ items: EventRow[] }>(load, { listen, topic: 'devices:changed', fail })
  if (value === undefined) return null
  return (
    <section className="card">
      <Title order={3} size="h5" mb="xs">
        {t('events')}
      </Title>
      {value.items.length === 0 ? (
        <Text size="sm">{t('noEvents')}</Text>
      ) : (
        <ul aria-label={t('events')} style={{ listStyle: 'none', margin: 0, padding: 0 }}>
          {value.items.map(event => (
            <li
              key={`${event.agent} ${event.number} ${event.seq}`}
              style={{ paddingBlock: '0.375rem', borderBlockEnd: '1px solid var(--artel-line)' }}
            >
              <Text size="sm" fw={600}>
                {event.kind}
              </Text>
              <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
                {time(event.at)} · {JSON.stringify(event.body)}
              </Text>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
