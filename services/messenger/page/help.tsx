import { Button, CopyButton, Group, List, NativeSelect, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import type { PartProps } from './part.ts'
import type { Guide, User } from './wire.ts'

const KINDS = ['leak', 'ddos', 'account'] as const

/** What to do when something bad has happened, in its order. */
export function Incidents({ api, words, fail, people }: PartProps & { people: readonly User[] }) {
  const { t, time, word } = words
  const [kind, setKind] = useState<(typeof KINDS)[number]>('leak')
  const [user, setUser] = useState('')
  const [guide, setGuide] = useState<Guide>()
  const isAccount = kind === 'account'
  return (
    <section className="card" aria-label={t('incidents')}>
      <Title order={2} size="h4">
        {t('incidents')}
      </Title>
      <Group align="flex-end" gap="sm" mt="xs">
        <NativeSelect
          label={t('whatHappened')}
          value={kind}
          onChange={({ currentTarget }) => setKind(currentTarget.value as typeof kind)}
          data={KINDS.map(value => ({ value, label: word('incident', value) }))}
        />
        {isAccount && (
          <NativeSelect
            label={t('whoseAccount')}
            value={user}
            onChange={({ currentTarget }) => setUser(currentTarget.value)}
            data={[{ value: '', label: '–' }, ...people.map(({ id, name }) => ({ value: id, label: name }))]}
          />
        )}
        <Button
          variant="default"
          onClick={() => void api.incident(kind, isAccount ? user : '', words.language).then(setGuide, fail)}
        >
          {t('whatToDo')}
        </Button>
      </Group>
      {guide !== undefined && (
        <>
          <List type="ordered" size="sm" mt="sm" spacing="xs">
            {guide.steps.map(({ what, command }) => (
              <List.Item key={`${what} ${command}`}>
                {what}
                {command !== undefined && (
                  <code style={{ display: 'block', overflowWrap: 'anywhere' }}>{command}</code>
                )}
              </List.Item>
            ))}
          </List>
          <Text size="sm" mt="xs">
            {t('doneBy', { at: time(guide.until) })}
          </Text>
        </>
      )}
    </section>
  )
}

/** A request for help, with what is known of this machine filled in. */
export function Ticket({ api, words, fail }: PartProps) {
  const { t } = words
  const [subject, setSubject] = useState('')
  const [text, setText] = useState<string>()
  const [isBusy, setIsBusy] = useState(false)
  async function fill(): Promise<void> {
    setIsBusy(true)
    await api.ticket(subject.trim(), words.language).then(filled => setText(filled.text), fail)
    setIsBusy(false)
  }
  return (
    <section className="card" aria-label={t('support')}>
      <Title order={2} size="h4">
        {t('support')}
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        {t('supportText')}
      </Text>
      <form
        onSubmit={event => {
          event.preventDefault()
          void fill()
        }}
      >
        <Group align="flex-end" gap="sm">
          <TextInput
            style={{ flex: '1 1 12rem' }}
            label={t('subject')}
            required
            maxLength={200}
            value={subject}
            onChange={({ currentTarget }) => setSubject(currentTarget.value)}
          />
          <Button type="submit" variant="default" loading={isBusy}>
            {t('fillIn')}
          </Button>
        </Group>
      </form>
      {text !== undefined && (
        <>
          <section className="code" aria-label={t('support')} style={{ marginTop: '0.5rem' }}>
            {text}
          </section>
          <CopyButton value={text}>
            {({ copied, copy }) => (
              <Button mt="xs" size="xs" variant="default" onClick={copy}>
                {t(copied ? 'copied' : 'copy')}
              </Button>
            )}
          </CopyButton>
        </>
      )}
    </section>
  )
}
