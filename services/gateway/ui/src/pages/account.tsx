import { Alert, Badge, Button, Group, Stack, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { LogOut, ShieldCheck } from 'lucide-react'
import { useState } from 'react'
import type { SecondFactor } from '../../../../access/index.ts'
import { Qr } from '../../../../host/page/qr.tsx'
import { call } from '../api/client.ts'
import { useMe } from '../api/me.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Empty } from '../parts/empty.tsx'
import { Card, PageHead, Problem } from '../parts/page.tsx'
import { Sessions } from '../people/sessions.tsx'
import { Code, Password } from '../people/sign-in.tsx'
import { useLeave } from '../people/use-leave.ts'

/** What a person does with his own account. */
export default function AccountPage() {
  const { t } = useTexts()
  const { account, home } = useMe()
  const leave = useLeave()
  if (account == null)
    return (
      <>
        <PageHead title={t('nav.account')} />
        <Empty title={t('account.none')} text={t('account.noneText')} />
      </>
    )
  return (
    <>
      <PageHead title={account.name} lead={t('account.lead', { role: account.role })}>
        <Button
          variant="default"
          leftSection={<LogOut size={16} aria-hidden />}
          loading={leave.isPending}
          onClick={() => leave.mutate()}
        >
          {t('account.leave')}
        </Button>
      </PageHead>
      {home != null ? (
        <Text>{t('account.atHome', { home })}</Text>
      ) : (
        <div className="split">
          <Sessions isOwn />
          <Stack gap="md">
            <SecondFactorCard hasOne={account.hasSecondFactor} />
            <PasswordCard />
          </Stack>
        </div>
      )}
    </>
  )
}

function PasswordCard() {
  const { t } = useTexts()
  const { account } = useMe()
  const [current, setCurrent] = useState('')
  const [password, setPassword] = useState('')
  const queries = useQueryClient()
  const change = useMutation({
    mutationFn: () => call('/account/password', { method: 'POST', body: { current, password } }),
    onSuccess: () => {
      setCurrent('')
      setPassword('')
      void queries.invalidateQueries({ queryKey: ['sessions'] })
    }
  })
  return (
    <Card title={t('account.password')}>
      <form
        onSubmit={event => {
          event.preventDefault()
          change.mutate()
        }}
      >
        <Stack>
          <input type="text" autoComplete="username" value={account?.name} readOnly hidden />
          <Password
            label={t('account.current')}
            kind="current-password"
            value={current}
            onChange={setCurrent}
          />
          <Password
            label={t('signIn.newPassword')}
            description={t('signIn.rule')}
            kind="new-password"
            value={password}
            onChange={setPassword}
          />
          {change.error != null && <Problem error={change.error} />}
          {change.isSuccess && (
            <Alert color="artel" variant="light" role="status" title={t('account.changed')}>
              {t('account.changedText')}
            </Alert>
          )}
          <Group>
            <Button type="submit" loading={change.isPending}>
              {t('account.change')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Card>
  )
}

function SecondFactorCard({ hasOne }: { hasOne: boolean }) {
  const { t } = useTexts()
  const queries = useQueryClient()
  const [code, setCode] = useState('')
  const [isRemoving, setRemoving] = useState(false)
  const enrol = useMutation({
    mutationFn: () => call<SecondFactor>('/account/second-factor', { method: 'POST' })
  })
  const finish = useMutation({
    mutationFn: (step: 'confirm' | 'remove') =>
      call(`/account/second-factor/${step}`, { method: 'POST', body: { code } }),
    onSuccess: () => {
      enrol.reset()
      setCode('')
      setRemoving(false)
      void queries.invalidateQueries({ queryKey: ['me'] })
    }
  })
  const problem = enrol.error ?? finish.error
  return (
    <Card
      title={t('factor.title')}
      aside={
        hasOne && (
          <Badge tt="none" variant="light" color="artel" className="state-badge">
            {t('factor.on')}
          </Badge>
        )
      }
    >
      <form
        onSubmit={event => {
          event.preventDefault()
          finish.mutate(hasOne ? 'remove' : 'confirm')
        }}
      >
        <Stack>
          <Text size="sm" c="dimmed">
            {t('factor.explain')}
          </Text>
          {enrol.data != null && (
            <Group align="flex-start">
              <Qr text={enrol.data.uri} label={t('factor.qr')} />
              <Stack gap="xs" style={{ flex: '1 1 12rem' }}>
                <Text size="sm">{t('factor.scan')}</Text>
                <Text ff="monospace" size="sm" style={{ overflowWrap: 'anywhere' }}>
                  {enrol.data.secret}
                </Text>
              </Stack>
            </Group>
          )}
          {(enrol.data != null || isRemoving) && <Code value={code} onChange={setCode} />}
          {problem != null && <Problem error={problem} />}
          <Group>
            {enrol.data != null || isRemoving ? (
              <Button type="submit" loading={finish.isPending}>
                {t(hasOne ? 'factor.remove' : 'factor.confirm')}
              </Button>
            ) : hasOne ? (
              <Button variant="default" onClick={() => setRemoving(true)}>
                {t('factor.remove')}
              </Button>
            ) : (
              <Button
                leftSection={<ShieldCheck size={16} aria-hidden />}
                loading={enrol.isPending}
                onClick={() => enrol.mutate()}
              >
                {t('factor.begin')}
              </Button>
            )}
          </Group>
        </Stack>
      </form>
    </Card>
  )
}
