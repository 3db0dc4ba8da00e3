import { Button, Stack, Text, TextInput, Title } from '@mantine/core'
import { QueryClientProvider, useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Invitation, SignedIn } from '../../../../access/index.ts'
import { call, SIGN_IN_MS } from '../api/client.ts'
import { createQueries } from '../api/queries.ts'
import { token } from '../api/token.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Asked, Problem } from '../parts/page.tsx'
import { EntryCard, NewPassword } from '../people/sign-in.tsx'

/** Who opened an invitation chooses a password, and a name where it is not given. */
export function InvitedPage({ code }: { code: string }) {
  const [queries] = useState(createQueries)
  return (
    <QueryClientProvider client={queries}>
      <EntryCard>
        <Look code={code} />
      </EntryCard>
    </QueryClientProvider>
  )
}

function Look({ code }: { code: string }) {
  const { t } = useTexts()
  const look = useQuery({
    queryKey: ['invitation', code],
    queryFn: () => call<Invitation>('/invitations/look', { method: 'POST', body: { code } })
  })
  return (
    <>
      <Asked query={look}>{invitation => <Accept code={code} invitation={invitation} />}</Asked>
      <Button variant="subtle" onClick={token.dropInvitation}>
        {t('invited.leave')}
      </Button>
    </>
  )
}

function Accept({ code, invitation }: { code: string; invitation: Invitation }) {
  const { t, format } = useTexts()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const isTold = invitation.name != null
  const accept = useMutation({
    mutationFn: () =>
      call<SignedIn>('/invitations/accept', {
        method: 'POST',
        deadlineMs: SIGN_IN_MS,
        body: { code, password, inBrowser: true, ...(isTold ? {} : { name }) }
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
        <Title order={2}>
          {isTold ? t('invited.named', { name: invitation.name ?? '' }) : t('invited.title')}
        </Title>
        <Text size="sm" c="dimmed">
          {t('invited.until', { time: format.dateTime(invitation.expires) })}
        </Text>
        {isTold ? (
          // password managers keep the password under it
          <input type="text" autoComplete="username" value={invitation.name} readOnly hidden />
        ) : (
          <TextInput
            label={t('invited.name')}
            description={t('invited.nameHint')}
            required
            maxLength={64}
            autoComplete="username"
            value={name}
            onChange={event => setName(event.currentTarget.value)}
          />
        )}
        <NewPassword password={password} again={again} setPassword={setPassword} setAgain={setAgain} />
        {accept.error != null && <Problem error={accept.error} />}
        <Button type="submit" loading={accept.isPending}>
          {t('invited.accept')}
        </Button>
      </Stack>
    </form>
  )
}
