import { Button, Group, Stack, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import { Qr } from '../../host/page/qr.tsx'
import { Row, Rows } from '../../host/page/rows.tsx'
import { Codes } from './codes.tsx'
import type { PartProps } from './part.ts'
import type { DeviceCode, Status, User } from './wire.ts'

/** The devices of who looks; one of them lets in another. */
export function Devices({
  me,
  devices,
  own,
  recovery,
  mayRevoke,
  changed,
  api,
  words,
  fail
}: PartProps & {
  me: NonNullable<Status['me']>
  devices: User['devices']
  own: string
  recovery: Status['recovery']
  mayRevoke: boolean
  changed(): void
}) {
  const { t, time } = words
  const [made, setMade] = useState<string>()
  const [shown, setShown] = useState<DeviceCode>()
  const [isBusy, setIsBusy] = useState(false)
  const [question, setQuestion] = useState<Question>()

  async function act(work: () => Promise<unknown>): Promise<void> {
    setIsBusy(true)
    await work().catch(fail)
    setIsBusy(false)
    changed()
  }
  const show = (): Promise<void> => act(async () => setShown(await api.addDevice()))
  /** One try for each code. */
  const confirm = (digits: string): Promise<void> =>
    act(() => api.confirmDevice(digits).finally(() => setShown(undefined)))
  const makeRecovery = (): Promise<void> => act(async () => setMade((await api.makeRecovery()).code))
  /** `all`: with what came in by it. */
  async function revoke(id: string, all: boolean): Promise<void> {
    const { refused } = await api.revoke(id, all)
    if (refused.length > 0) throw new Error(refused.map(each => `${each.device}: ${each.reason}`).join('; '))
  }
  const askRevoke = (id: string, name: string, all: boolean): void =>
    setQuestion({
      title: t('revokeTitle', { name }),
      text: t(all ? 'revokeAllText' : 'revokeText'),
      yes: t('revoke'),
      run: () => void act(() => revoke(id, all))
    })
  return (
    <Stack gap="md">
      <section className="card" aria-label={t('myDevices')}>
        <Rows label={t('myDevices')} empty={t('nobody')}>
          {devices.map(({ id, name }) => (
            <Row key={id} title={name} detail={id === own ? `${t('thisDevice')} · ${id}` : id}>
              {mayRevoke && id !== own && (
                <Group gap="xs">
                  <Button
                    size="xs"
                    variant="default"
                    aria-label={t('revokeOf', { name })}
                    onClick={() => askRevoke(id, name, false)}
                  >
                    {t('revoke')}
                  </Button>
                  <Button
                    size="xs"
                    variant="default"
                    aria-label={t('stolenOf', { name })}
                    onClick={() => askRevoke(id, name, true)}
                  >
                    {t('stolen')}
                  </Button>
                </Group>
              )}
            </Row>
          ))}
        </Rows>
      </section>
      <section className="card" aria-label={t('addDevice')}>
        <Title order={2} size="h4">
          {t('addDevice')}
        </Title>
        <Text size="sm" c="dimmed" mb="xs">
          {t('addDeviceText')}
        </Text>
        {shown !== undefined && (
          <Shown key={shown.code} shown={shown} isBusy={isBusy} words={words} confirm={confirm} />
        )}
        <Button variant="default" loading={isBusy && shown === undefined} onClick={() => void show()}>
          {t(shown === undefined ? 'showCode' : 'showNewCode')}
        </Button>
      </section>
      <section className="card" aria-label={t('recovery')}>
        <Title order={2} size="h4">
          {t('recovery')}
        </Title>
        <Text size="sm" c="dimmed" mb="xs">
          {t('recoveryText')}
        </Text>
        <Text size="sm" mb="xs">
          {recovery === undefined
            ? t('noRecovery')
            : t('recoveryMade', { at: time(recovery.at), device: recovery.device })}
        </Text>
        {made !== undefined && (
          <Codes invitations={[{ user: me.id, name: me.name, code: made }]} words={words} />
        )}
        <Button mt="sm" variant="default" loading={isBusy} onClick={() => void makeRecovery()}>
          {t('makeRecovery')}
        </Button>
      </section>
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('cancel') }}
      />
    </Stack>
  )
}

function Shown({
  shown: { code, until },
  isBusy,
  words: { t, time },
  confirm
}: Pick<PartProps, 'words'> & { shown: DeviceCode; isBusy: boolean; confirm(digits: string): void }) {
  const [digits, setDigits] = useState('')
  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        confirm(digits)
      }}
    >
      <Qr text={code} label={t('deviceCode')} />
      <Text size="xs" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
        {code}
      </Text>
      <Text size="sm" mt="xs">
        {t('codeUntil', { at: time(until) })}
      </Text>
      <Group align="flex-end" gap="sm" my="sm">
        <TextInput
          label={t('digits')}
          required
          inputMode="numeric"
          autoComplete="off"
          pattern="(\s*[0-9]){6}\s*"
          maxLength={13}
          value={digits}
          onChange={({ currentTarget }) => setDigits(currentTarget.value)}
        />
        <Button type="submit" loading={isBusy}>
          {t('letIn')}
        </Button>
      </Group>
    </form>
  )
}
