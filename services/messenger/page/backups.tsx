import { Button, Group, NativeSelect, Text, Title } from '@mantine/core'
import { useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import { Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { PartProps } from './part.ts'
import type { Chat, Restored, User } from './wire.ts'

/** What was backed up, and bringing it back after a yes. */
export function Backups({
  api,
  words,
  listen,
  fail,
  chats,
  people
}: PartProps & { chats: readonly Chat[]; people: readonly User[] }) {
  const { t, time, bytes } = words
  const { value, reload } = useLoaded(api.backups, { listen, topic: 'messenger:backups', fail })
  const [question, setQuestion] = useState<Question>()
  const [restored, setRestored] = useState<Restored>()
  const [group, setGroup] = useState('')
  const [user, setUser] = useState('')
  const only = { ...(group && { group }), ...(user && { user }) }
  const ofAll = { value: '', label: t('ofAll') }
  const [busy, setBusy] = useState<string>()

  async function press(name: string, work: () => Promise<unknown>): Promise<void> {
    setBusy(name)
    setRestored(undefined)
    await work().catch(fail)
    setBusy(undefined)
    await reload()
  }
  return (
    <section className="card" aria-label={t('backups')}>
      <Group justify="space-between">
        <Title order={2} size="h4">
          {t('backups')}
        </Title>
        <Group gap="xs">
          <Button loading={busy === 'make'} onClick={() => void press('make', () => api.backup(false))}>
            {t('backUp')}
          </Button>
          <Button
            variant="default"
            loading={busy === 'full'}
            onClick={() => void press('full', () => api.backup(true))}
          >
            {t('backUpFull')}
          </Button>
        </Group>
      </Group>
      <Text size="sm" c="dimmed" mb="xs">
        {t('backupsText')}
      </Text>
      {restored !== undefined && (
        <Text size="sm" role="status">
          {t('restored', { events: restored.events, mail: restored.mail, files: restored.files })}
        </Text>
      )}
      <Group gap="sm" mb="xs">
        <NativeSelect
          label={t('onlyChat')}
          value={group}
          onChange={({ currentTarget }) => setGroup(currentTarget.value)}
          data={[ofAll, ...chats.map(chat => ({ value: chat.id, label: words.titleOf(chat) }))]}
        />
        <NativeSelect
          label={t('onlyPerson')}
          value={user}
          onChange={({ currentTarget }) => setUser(currentTarget.value)}
          data={[ofAll, ...people.map(({ id, name }) => ({ value: id, label: name }))]}
        />
      </Group>
      {value !== undefined && (
        <Rows label={t('backups')} empty={t('noBackups')}>
          {value.items.map(({ id, at, events, people, bytes: size }) => (
            <Row
              key={id}
              title={time(at)}
              detail={`${id} · ${bytes(size)} · ${t('holds', { events, people })}`}
            >
              <Button
                size="xs"
                variant="default"
                loading={busy === id}
                aria-label={t('restoreOf', { at: time(at) })}
                onClick={() =>
                  setQuestion({
                    title: t('restoreTitle', { at: time(at) }),
                    text: t('restoreText'),
                    yes: t('restore'),
                    run: () => void press(id, async () => setRestored(await api.restore(id, only)))
                  })
                }
              >
                {t('restore')}
              </Button>
            </Row>
          ))}
        </Rows>
      )}
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('cancel') }}
      />
    </section>
  )
}
