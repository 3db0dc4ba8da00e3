import { Alert, Button, PasswordInput, Stack, Tabs, Text } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { KeyRound, UserRound } from 'lucide-react'
import { useState } from 'react'
import { createQueries } from '../api/queries.ts'
import { token } from '../api/token.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { isMessenger } from '../is-messenger.ts'
import { EntryCard, SignIn } from '../people/sign-in.tsx'

/** Which way was taken last. */
const WAY = 'artel.way'

/** Asks who comes: there is no token or session, or the node refused it. */
export function TokenPage() {
  const { t } = useTexts()
  const [queries] = useState(createQueries)
  const refused = token.refused()
  return (
    <EntryCard>
      {refused != null && (
        <Alert color="red" variant="light" role="alert" title={t(`${refused}.refusedTitle`)}>
          {t(`${refused}.refused`)}
        </Alert>
      )}
      <Tabs
        // who chats has a name; who looks after a node has its token
        defaultValue={localStorage.getItem(WAY) ?? (isMessenger ? 'name' : 'token')}
        onChange={way => localStorage.setItem(WAY, way ?? 'token')}
        keepMounted={false}
      >
        <Tabs.List grow mb="md" aria-label={t('signIn.ways')}>
          <Tabs.Tab value="token" leftSection={<KeyRound size={16} aria-hidden />}>
            {t('token.way')}
          </Tabs.Tab>
          <Tabs.Tab value="name" leftSection={<UserRound size={16} aria-hidden />}>
            {t('signIn.way')}
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="token">
          <EnterToken />
        </Tabs.Panel>
        <Tabs.Panel value="name">
          <QueryClientProvider client={queries}>
            <SignIn />
          </QueryClientProvider>
        </Tabs.Panel>
      </Tabs>
    </EntryCard>
  )
}

function EnterToken() {
  const { t } = useTexts()
  const [value, setValue] = useState('')
  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        if (value.trim() !== '') token.set(value)
      }}
    >
      <Stack>
        <Text size="sm">{t('token.explain')}</Text>
        <PasswordInput
          label={t('token.label')}
          description={t('token.where')}
          value={value}
          onChange={event => setValue(event.currentTarget.value)}
          leftSection={<KeyRound size={16} aria-hidden />}
          autoComplete="off"
          visibilityToggleButtonProps={{ 'aria-label': t('token.show'), tabIndex: 0, 'aria-hidden': false }}
          data-autofocus
        />
        <Button type="submit" disabled={value.trim() === ''}>
          {t('token.enter')}
        </Button>
      </Stack>
    </form>
  )
}
