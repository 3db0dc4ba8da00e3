import { Button, Group, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import { Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import { MAX_REASON_CHARS } from '../core/constants.ts'
import type { PartProps } from './part.ts'
import type { Reported } from './wire.ts'

/** What was reported, the open ones first; who gets them says what was done. */
export function Reports(props: PartProps & { open(chat: string): void }) {
  const { api, words, listen, fail } = props
  const { t } = words
  const { value, reload } = useLoaded(api.reports, { listen, topic: 'messenger:chat', fail })
  return (
    <section className="card" aria-label={t('reports')}>
      <Title order={2} size="h4" mb="xs">
        {t('reports')}
      </Title>
      <Rows label={t('reports')} empty={t('noReports')}>
        {(value?.items ?? []).map(report => (
          <ReportRow key={report.id} {...props} report={report} changed={() => void reload()} />
        ))}
      </Rows>
    </section>
  )
}

function ReportRow({
  report,
  api,
  words: { t, time },
  fail,
  open,
  changed
}: PartProps & { report: Reported; open(chat: string): void; changed(): void }) {
  const [note, setNote] = useState('')
  const { id, chat, at, by, text, isDone, note: said = '', doneBy } = report
  return (
    <li style={{ padding: '0.5rem 0', borderBlockEnd: '1px solid var(--artel-line)' }}>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere', minWidth: 0 }} dir="auto">
          {text}
        </Text>
        <Button size="xs" variant="default" style={{ flexShrink: 0 }} onClick={() => open(chat)}>
          {t('openChat')}
        </Button>
      </Group>
      <Text size="xs" c="dimmed">
        <bdi>{by.name}</bdi> · {time(at)} ·{' '}
        {isDone ? t('reportDone', { name: doneBy?.name ?? '', note: said }) : t('reportOpen')}
      </Text>
      {!isDone && (
        <form
          onSubmit={event => {
            event.preventDefault()
            void api.closeReport(id, note.trim()).then(changed, fail)
          }}
        >
          <Group gap="xs" align="flex-end" wrap="nowrap">
            <TextInput
              style={{ flex: 1 }}
              size="xs"
              label={t('reportNote')}
              required
              maxLength={MAX_REASON_CHARS}
              value={note}
              onChange={({ currentTarget }) => setNote(currentTarget.value)}
            />
            <Button size="xs" type="submit">
              {t('reportClose')}
            </Button>
          </Group>
        </form>
      )}
    </li>
  )
}
