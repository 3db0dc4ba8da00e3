import { Button, Group, Stack, Table, Text, Title } from '@mantine/core'
import { useState } from 'react'
import { Backups } from './backups.tsx'
import { Carry } from './carry.tsx'
import { Certificate } from './certificate.tsx'
import { Findings } from './findings.tsx'
import { Incidents, Ticket } from './help.tsx'
import { Logs } from './logs.tsx'
import type { PartProps } from './part.ts'
import { Policies } from './policies.tsx'
import { Program } from './program.tsx'
import { Reports } from './reports.tsx'
import type { Chat, Cleaned, Stats, Status, User } from './wire.ts'

/** What an administrator looks after on this node and in the school. */
export function Administration(
  props: PartProps & {
    status: Status
    chats: readonly Chat[]
    people: readonly User[]
    isAdmin: boolean
    ownsNode: boolean
    open(chat: string): void
    changed(): void
  }
) {
  const { api, words, fail, isAdmin, ownsNode } = props
  const { t, language } = words
  const isMember = props.status.isYours === true && props.status.me !== undefined
  return (
    <Stack gap="md">
      <Findings
        words={words}
        fail={fail}
        looks={{
          health: { label: t('health'), look: () => api.health(language) },
          diagnose: { label: t('diagnose'), look: () => api.diagnose(language) },
          audit: { label: t('audit'), look: () => api.audit(language) },
          daily: { label: t('daily'), look: () => api.check('daily', language) },
          weekly: { label: t('weekly'), look: () => api.check('weekly', language) },
          verify: { label: t('verify'), look: () => api.verify(false, language) },
          verifyFull: { label: t('verifyFull'), look: () => api.verify(true, language) }
        }}
      />
      <Backups {...props} />
      {ownsNode && <Program {...props} />}
      {isMember && <Reports {...props} />}
      {isAdmin && <Policies {...props} />}
      <Carry {...props} />
      <CleanUp {...props} />
      <Statistics {...props} />
      <Certificate {...props} />
      <Logs {...props} />
      <Incidents {...props} />
      <Ticket {...props} />
    </Stack>
  )
}

function CleanUp({ api, words, fail }: PartProps) {
  const { t, bytes } = words
  const [cleaned, setCleaned] = useState<Cleaned>()
  const [isBusy, setIsBusy] = useState(false)
  async function clean(): Promise<void> {
    setIsBusy(true)
    await api.cleanUp().then(setCleaned, fail)
    setIsBusy(false)
  }
  return (
    <section className="card" aria-label={t('cleanUp')}>
      <Group justify="space-between">
        <Title order={2} size="h4">
          {t('cleanUp')}
        </Title>
        <Button variant="default" loading={isBusy} onClick={() => void clean()}>
          {t('cleanUpNow')}
        </Button>
      </Group>
      <Text size="sm" c="dimmed">
        {t('cleanUpText')}
      </Text>
      {cleaned !== undefined && (
        <Text size="sm" role="status">
          {t('cleaned', {
            files: cleaned.files,
            parts: cleaned.parts,
            before: bytes(cleaned.bytesBefore),
            after: bytes(cleaned.bytesAfter)
          })}
        </Text>
      )}
    </section>
  )
}

function Statistics({ api, words, fail }: PartProps) {
  const { t } = words
  const [stats, setStats] = useState<Stats>()
  return (
    <section className="card" aria-label={t('statistics')}>
      <Group justify="space-between">
        <Title order={2} size="h4">
          {t('statistics')}
        </Title>
        <Button variant="default" onClick={() => void api.stats().then(setStats, fail)}>
          {t('count')}
        </Button>
      </Group>
      {stats !== undefined && (
        <>
          <Text size="sm">{t('statsNow', { users: stats.users, devices: stats.devices })}</Text>
          <Table verticalSpacing={4}>
            <Table.Thead>
              <Table.Tr>
                {(['month', 'newUsers', 'messageCount', 'senders'] as const).map(name => (
                  <Table.Th key={name}>{t(name)}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody className="num">
              {stats.months.map(({ month, newUsers, messages, senders }) => (
                <Table.Tr key={month}>
                  <Table.Td>{month}</Table.Td>
                  <Table.Td>{newUsers}</Table.Td>
                  <Table.Td>{messages}</Table.Td>
                  <Table.Td>{senders}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </>
      )}
    </section>
  )
}
