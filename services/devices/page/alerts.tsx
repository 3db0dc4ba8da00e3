import { Badge, Button, Stack, Title } from '@mantine/core'
import { useCallback } from 'react'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { AlertRow, RuleRow, SilenceRow } from './api.ts'
import type { PartProps } from './part.ts'
import { RuleForm } from './rule-form.tsx'
import { SilenceForm } from './silence-form.tsx'

const TOPIC = 'devices:alerts'
const COLOURS = { info: 'blue', warning: 'orange', critical: 'red' } as const

/** What rules have found, the rules, and what nobody is told of. */
export function Alerts(part: PartProps) {
  const { api, words, listen, fail } = part
  const { t } = words
  const on = { listen, topic: TOPIC, fail }
  const alerts = useLoaded(
    useCallback(() => api.alerts(), [api]),
    on
  )
  const rules = useLoaded(
    useCallback(() => api.rules(), [api]),
    on
  )
  const silences = useLoaded(
    useCallback(() => api.silences(), [api]),
    on
  )

  async function act(work: Promise<unknown>): Promise<boolean> {
    const isDone = await work.then(
      () => true,
      (error: Error) => {
        fail(error)
        return false
      }
    )
    await Promise.all([alerts.reload(), rules.reload(), silences.reload()])
    return isDone
  }

  return (
    <Stack gap="md">
      <Found rows={alerts.value?.items} words={words} acknowledge={key => act(api.acknowledge(key))} />
      <Section title={t('rules')}>
        <RuleList rows={rules.value?.items ?? []} words={words} remove={name => act(api.removeRule(name))} />
        <RuleForm words={words} save={rule => act(api.setRule(rule))} />
      </Section>
      <Section title={t('silences')}>
        <SilenceList rows={silences.value?.items ?? []} words={words} end={id => act(api.endSilence(id))} />
        <SilenceForm
          words={words}
          save={(devices, minutes, why) => act(api.silence(devices, minutes, why))}
        />
      </Section>
    </Stack>
  )
}

function Section({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section className="card" aria-label={title}>
      <Title order={2} size="h5" mb="xs">
        {title}
      </Title>
      {children}
    </section>
  )
}

interface FoundProps {
  rows: AlertRow[] | undefined
  words: PartProps['words']
  acknowledge(key: string): void
}

function Found({ rows, words, acknowledge }: FoundProps) {
  const { t, time, word, reading } = words
  if (rows === undefined) return null
  const what = ({ value }: AlertRow): string =>
    value === null ? t('silent') : typeof value === 'object' ? JSON.stringify(value) : reading(value)
  return (
    <Section title={t('alerts')}>
      <Rows label={t('alerts')} empty={t('noAlerts')}>
        {rows.map(row => (
          <Row
            key={row.key}
            title={`${row.rule}: ${row.device}`}
            detail={[
              what(row),
              time(row.openedAt),
              ...(row.count > 1 ? [t('times', { n: row.count })] : []),
              ...(row.escalatedAt === undefined ? [] : [t('escalated', { time: time(row.escalatedAt) })]),
              ...(row.acknowledgedBy === undefined ? [] : [t('by', { who: row.acknowledgedBy })])
            ].join(' · ')}
          >
            <Badge variant="dot" tt="none" color={row.state === 'resolved' ? 'gray' : COLOURS[row.severity]}>
              {word('severity', row.severity)}, {word('state', row.state)}
            </Badge>
            {row.state === 'firing' && (
              <Button
                size="xs"
                variant="default"
                aria-label={t('acknowledgeOf', { rule: row.rule, device: row.device })}
                onClick={() => acknowledge(row.key)}
              >
                {t('acknowledge')}
              </Button>
            )}
          </Row>
        ))}
      </Rows>
    </Section>
  )
}

function RuleList({
  rows,
  words,
  remove
}: {
  rows: RuleRow[]
  words: PartProps['words']
  remove(name: string): void
}) {
  const { t, condition, word, number } = words
  return (
    <Rows label={t('rules')} empty={t('noRules')}>
      {rows.map(row => (
        <Row
          key={row.name}
          title={row.name}
          detail={[
            `${row.devices}: ${condition(row)}`,
            word('severity', row.severity),
            ...(row.escalateMinutes === undefined
              ? []
              : [t('escalates', { minutes: number(row.escalateMinutes) })])
          ].join(' · ')}
        >
          <RemoveButton label={t('removeRule', { name: row.name })} onClick={() => remove(row.name)} />
        </Row>
      ))}
    </Rows>
  )
}

function SilenceList({
  rows,
  words,
  end
}: {
  rows: SilenceRow[]
  words: PartProps['words']
  end(id: number): void
}) {
  const { t, time } = words
  return (
    <Rows label={t('silences')} empty={t('noSilences')}>
      {rows.map(({ id, devices, until, why, by }) => (
        <Row key={id} title={t('until', { devices, time: time(until) })} detail={`${why} · ${by}`}>
          <RemoveButton label={t('endSilence', { devices })} onClick={() => end(id)} />
        </Row>
      ))}
    </Rows>
  )
}
