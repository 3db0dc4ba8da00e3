import { Badge, Group, Progress, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import { type ReactNode, useCallback } from 'react'
import { Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { Measure } from './api.ts'
import { type PartProps, REFRESH_MS } from './part.ts'
import { savedShare } from './sums.ts'
import type { Words } from './words.ts'

const CACHE_DAYS = 30
/** What only admins may know is not there for others. */
const hide = (): void => {}

/** Whether the machine still carries it: six figures, the cache, and who is asked. */
export function Overview({ api, words, fail }: PartProps) {
  const { t, number, megabytes, percent } = words
  const status = useLoaded(
    useCallback(() => api.status(), [api]),
    { fail, everyMs: REFRESH_MS }
  ).value
  const spending = useLoaded(
    useCallback(() => api.spending(CACHE_DAYS, 'model'), [api]),
    { fail: hide, everyMs: REFRESH_MS }
  ).value
  const providers = useLoaded(
    useCallback(() => api.providers(), [api]),
    { fail: hide, everyMs: REFRESH_MS }
  ).value
  if (status == null) return null
  const { entries, bytes, hotBytes } = status.cache
  return (
    <Stack gap="md">
      <Card title={t('measures')}>
        <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }}>
          {status.items.map(measure => (
            <Measured key={measure.name} measure={measure} words={words} />
          ))}
        </SimpleGrid>
      </Card>
      <Card title={t('cache')}>
        <SimpleGrid cols={{ base: 2, md: 4 }}>
          <Figure label={t('entries')} value={number(entries)} />
          <Figure label={t('onDisk')} value={megabytes(bytes)} />
          <Figure label={t('inMemory')} value={megabytes(hotBytes)} />
          {spending != null && <Figure label={t('savedShare')} value={percent(savedShare(spending.items))} />}
        </SimpleGrid>
      </Card>
      {providers != null && (
        <Card title={t('providers')}>
          <Rows label={t('providers')} empty={t('noProviders')}>
            {providers.items.map(({ name, provider: { url, peer, isSold, models } }) => (
              <Row
                key={name}
                title={name}
                detail={[
                  url ?? (peer == null ? t('local') : t('peer', { peer })),
                  models.map(({ id }) => id).join(', '),
                  ...(isSold ? [t('sold')] : [])
                ].join(' · ')}
              >
                {null}
              </Row>
            ))}
          </Rows>
        </Card>
      )}
    </Stack>
  )
}

function Card({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card" aria-label={title}>
      <Title order={2} size="h5" mb="xs">
        {title}
      </Title>
      {children}
    </section>
  )
}

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <div>
      <Text c="dimmed" size="sm">
        {label}
      </Text>
      <Text fz="1.25rem" fw={650} className="num">
        {value}
      </Text>
    </div>
  )
}

function Measured({ measure, words }: { measure: Measure; words: Words }) {
  const { name, value, limit, unit, isOver, parts } = measure
  const { t, word, measured } = words
  const label = word('measure', name)
  const hints = [
    ...(name === 'response' ? [t('hint_response')] : []),
    ...Object.entries(parts ?? {}).map(([part, size]) => `${word('part', part)} ${measured(size, unit)}`)
  ]
  return (
    <div>
      <Group justify="space-between" gap="xs">
        <Text c="dimmed" size="sm">
          {label}
        </Text>
        <Badge variant="dot" tt="none" color={isOver ? 'red' : 'teal'}>
          {t(isOver ? 'over' : 'fine')}
        </Badge>
      </Group>
      <Text fz="1.25rem" fw={650} className="num">
        {measured(value, unit)}
        <Text span size="sm" c="dimmed" fw={400} ml={6}>
          {t('limit', { limit: measured(limit, unit) })}
        </Text>
      </Text>
      <Progress
        aria-label={label}
        value={limit === 0 ? 100 : Math.min(100, (value / limit) * 100)}
        color={isOver ? 'red' : undefined}
        mt={4}
      />
      {hints.length > 0 && (
        <Text size="xs" c="dimmed" mt={4}>
          {hints.join(' · ')}
        </Text>
      )}
    </div>
  )
}
