import { Button, Checkbox, Group, NumberInput, Stack, Text, Textarea, Title } from '@mantine/core'
import { useState } from 'react'
import { MESSAGES_PER_MINUTE } from '../core/constants.ts'
import type { PartProps } from './part.ts'
import { QuietHours } from './quiet-hours.tsx'
import type { Policy, Status } from './wire.ts'

const NUMBERS = [
  { name: 'editMinutes', min: 0, max: 525_600, untold: 0 },
  { name: 'messagesPerMinute', min: 1, max: 1_000_000, untold: MESSAGES_PER_MINUTE }
] as const
const SWITCHES = ['pupilsToPupils', 'pupilGroups', 'pupilFiles', 'presence'] as const

/** What people may do, and which nodes keep the mail. */
export function Policies({
  status,
  api,
  words,
  fail,
  changed
}: Pick<PartProps, 'api' | 'words' | 'fail'> & { status: Status; changed(): void }) {
  const { t } = words
  const [policy, setPolicy] = useState<Policy>(status.policy!)
  const [mailboxes, setMailboxes] = useState(status.mailboxes.join('\n'))
  const [isBusy, setIsBusy] = useState(false)
  async function save(work: Promise<unknown>): Promise<void> {
    setIsBusy(true)
    await work.catch(fail)
    setIsBusy(false)
    changed()
  }
  return (
    <section className="card" aria-label={t('policy')}>
      <Title order={2} size="h4" mb="xs">
        {t('policy')}
      </Title>
      <Stack gap="sm">
        {SWITCHES.map(name => (
          <Checkbox
            key={name}
            label={t(name)}
            checked={policy[name] === true}
            onChange={({ currentTarget: { checked } }) => setPolicy({ ...policy, [name]: checked })}
          />
        ))}
        {NUMBERS.map(({ name, min, max, untold }) => (
          <NumberInput
            key={name}
            label={t(name)}
            min={min}
            max={max}
            allowDecimal={false}
            maw="24rem"
            value={policy[name] ?? untold}
            onChange={value => setPolicy({ ...policy, [name]: Number(value) || min })}
          />
        ))}
        <QuietHours policy={policy} words={words} change={setPolicy} />
        <Group>
          <Button loading={isBusy} onClick={() => void save(api.setPolicy(policy))}>
            {t('savePolicy')}
          </Button>
        </Group>
        <Textarea
          label={t('mailboxes')}
          description={t('mailboxesText')}
          autosize
          value={mailboxes}
          onChange={({ currentTarget }) => setMailboxes(currentTarget.value)}
        />
        <Text size="sm" c="dimmed">
          {t('mail', { count: status.mail.count, size: words.bytes(status.mail.bytes), n: status.outbox })}
        </Text>
        <Group>
          <Button
            variant="default"
            loading={isBusy}
            onClick={() => void save(api.setMailboxes(mailboxes.split(/\s+/).filter(Boolean)))}
          >
            {t('saveMailboxes')}
          </Button>
        </Group>
      </Stack>
    </section>
  )
}
