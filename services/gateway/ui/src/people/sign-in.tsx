import { Button, Group, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import type { SignedIn } from '../../../../access/index.ts'
import { call, ProblemError, SIGN_IN_MS } from '../api/client.ts'
import { token } from '../api/token.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { isMessenger } from '../is-messenger.ts'
import { Problem } from '../parts/page.tsx'
import { LanguageSwitch, SchemeSwitch } from '../parts/switches.tsx'

/** The card in the middle of an otherwise empty page, before somebody is let in. */
export function EntryCard({ children }: { children: ReactNode }) {
  const { t } = useTexts()
  return (
    <main className="entry">
      <div className="card" style={{ width: 'min(100%, 27rem)', padding: '1.75rem' }}>
        <Stack>
          <Group justify="space-between" wrap="nowrap">
            <Group gap={10} wrap="nowrap">
              <img src="./favicon.svg" alt="" width={32} height={32} />
              <Title order={1}>{isMessenger ? t('messenger.title') : 'Artel'}</Title>
            </Group>
            <Group gap="xs" wrap="nowrap">
              <LanguageSwitch />
              <SchemeSwitch />
            </Group>
          </Group>
          {children}
        </Stack>
      </div>
    </main>
  )
}

export interface PasswordProps {
  label: string
  description?: string
  value: string
  onChange(value: string): void
  /** tells password managers what it is */
  kind: 'current-password' | 'new-password'
  error?: string
}

export function Password({ kind, onChange, ...props }: PasswordProps) {
  const { t } = useTexts()
  return (
    <PasswordInput
      {...props}
      required
      autoComplete={kind}
      onChange={event => onChange(event.currentTarget.value)}
      visibilityToggleButtonProps={{ 'aria-label': t('signIn.show'), tabIndex: 0, 'aria-hidden': false }}
    />
  )
}

export interface CodeProps {
  label?: string
  value: string
  onChange(value: string): void
}

/** The six digits of an authenticator app. */
export function Code({ label, value, onChange }: CodeProps) {
  const { t } = useTexts()
  return (
    <TextInput
      label={label ?? t('signIn.code')}
      description={t('signIn.codeHint')}
      required
      inputMode="numeric"
      autoComplete="one-time-code"
      maxLength={7}
      value={value}
      onChange={event => onChange(event.currentTarget.value)}
      data-autofocus
    />
  )
}

/** Name and password, and the code where the node asks for one. */
export function SignIn() {
  const { t } = useTexts()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [code, setCode] = useState<string>()
  const [isFirst, setIsFirst] = useState(false)
  const signIn = useMutation({
    mutationFn: () =>
      call<SignedIn>('/session', {
        method: 'POST',
        deadlineMs: SIGN_IN_MS,
        body: { name, password, inBrowser: true, ...(code ? { code } : {}) }
      }),
    onSuccess: token.signIn,
    onError: error => {
      if (is(error, CODE_MISSING)) setCode('')
      if (is(error, FIRST_PASSWORD)) setIsFirst(true)
    }
  })
  if (isFirst) return <ChoosePassword name={name} first={password} />
  const problem = signIn.error != null && !is(signIn.error, CODE_MISSING) ? signIn.error : undefined
  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        signIn.mutate()
      }}
    >
      <Stack>
        <TextInput
          label={t('signIn.name')}
          description={isMessenger ? t('signIn.nameHint') : undefined}
          required
          autoComplete="username"
          value={name}
          onChange={event => setName(event.currentTarget.value)}
        />
        <Password
          label={t('signIn.password')}
          description={t('signIn.forgotten')}
          kind="current-password"
          value={password}
          onChange={setPassword}
        />
        {code != null && <Code value={code} onChange={setCode} />}
        {problem != null && <Problem error={problem} />}
        <Button type="submit" loading={signIn.isPending}>
          {t('signIn.enter')}
        </Button>
      </Stack>
    </form>
  )
}

const CODE_MISSING = 'SecondFactorError'
const FIRST_PASSWORD = 'FirstPasswordError'
const is = (error: Error, title: string): boolean => error instanceof ProblemError && error.title === title

/** Who signs in with the password that somebody gave him chooses his own, which nobody else knows. */
function ChoosePassword({ name, first }: { name: string; first: string }) {
  const { t } = useTexts()
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const accept = useMutation({
    mutationFn: () =>
      call<SignedIn>('/invitations/accept', {
        method: 'POST',
        deadlineMs: SIGN_IN_MS,
        body: { name, code: first, password, inBrowser: true }
      }),
    onSuccess: token.signIn
  })
  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        if (password === again) accept.mutate()
      }}
    >
      <Stack>
        <Text size="sm">{t('signIn.first')}</Text>
        {/* password managers keep the password under it */}
        <input type="text" autoComplete="username" value={name} readOnly hidden />
        <NewPassword password={password} again={again} setPassword={setPassword} setAgain={setAgain} />
        {accept.error != null && <Problem error={accept.error} />}
        <Button type="submit" loading={accept.isPending}>
          {t('signIn.enter')}
        </Button>
      </Stack>
    </form>
  )
}

/** A password that is chosen, typed twice. */
export function NewPassword({
  password,
  again,
  setPassword,
  setAgain
}: {
  password: string
  again: string
  setPassword(value: string): void
  setAgain(value: string): void
}) {
  const { t } = useTexts()
  return (
    <>
      <Password
        label={t('signIn.newPassword')}
        description={t('signIn.rule')}
        kind="new-password"
        value={password}
        onChange={setPassword}
      />
      <Password
        label={t('signIn.again')}
        kind="new-password"
        value={again}
        {...(again !== '' && again !== password ? { error: t('signIn.different') } : {})}
        onChange={setAgain}
      />
    </>
  )
}
