import { Button, Group, Stack, Text, Textarea, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import type { PartProps } from './part.ts'
import type { Status } from './wire.ts'

/** This node is in no school yet. */
export function Begin({
  api,
  words: { t },
  fail,
  pairing,
  changed
}: Pick<PartProps, 'api' | 'words' | 'fail'> & { pairing: Status['pairing']; changed(): void }) {
  const [code, setCode] = useState('')
  const [device, setDevice] = useState(t('computer'))
  const [school, setSchool] = useState('')
  const [me, setMe] = useState('')
  const [isBusy, setIsBusy] = useState(false)
  async function press(work: Promise<unknown>): Promise<void> {
    setIsBusy(true)
    await work.catch(fail)
    setIsBusy(false)
    changed()
  }
  return (
    <Stack gap="md">
      <section className="card" aria-label={t('join')}>
        <Title order={2} size="h4">
          {t('join')}
        </Title>
        <Text size="sm" c="dimmed" mb="xs">
          {t('joinText')}
        </Text>
        <form
          onSubmit={event => {
            event.preventDefault()
            void press(api.join(code.trim(), device.trim()))
          }}
        >
          <Textarea
            label={t('code')}
            required
            autosize
            maxLength={2_000}
            value={code}
            onChange={({ currentTarget }) => setCode(currentTarget.value)}
          />
          <TextInput
            mt="sm"
            label={t('deviceName')}
            required
            maxLength={100}
            value={device}
            onChange={({ currentTarget }) => setDevice(currentTarget.value)}
          />
          <Button type="submit" mt="sm" loading={isBusy}>
            {t('join')}
          </Button>
        </form>
        {pairing !== undefined && <Digits pairing={pairing} t={t} />}
      </section>
      <section className="card" aria-label={t('found_')}>
        <Title order={2} size="h4">
          {t('found_')}
        </Title>
        <Text size="sm" c="dimmed" mb="xs">
          {t('foundText')}
        </Text>
        <form
          onSubmit={event => {
            event.preventDefault()
            void press(api.found(school.trim(), me.trim()))
          }}
        >
          <Group align="flex-end" gap="sm">
            <TextInput
              label={t('schoolName')}
              required
              maxLength={100}
              value={school}
              onChange={({ currentTarget }) => setSchool(currentTarget.value)}
            />
            <TextInput
              label={t('yourName')}
              required
              maxLength={100}
              value={me}
              onChange={({ currentTarget }) => setMe(currentTarget.value)}
            />
            <Button type="submit" variant="default" loading={isBusy}>
              {t('found_')}
            </Button>
          </Group>
        </form>
      </section>
    </Stack>
  )
}

/** To be typed on the other device, or why nothing came of it. */
export function Digits({
  pairing,
  t
}: {
  pairing: NonNullable<Status['pairing']>
  t: PartProps['words']['t']
}) {
  if ('failed' in pairing)
    return (
      <Text role="status" mt="sm">
        {t('notLetIn', { reason: pairing.failed })}
      </Text>
    )
  return (
    <Text role="status" mt="sm">
      {t('typeDigits')}{' '}
      <Text span fw={700} size="xl" ff="monospace">
        {pairing.digits.replace(/(...)/, '$1 ')}
      </Text>
    </Text>
  )
}
