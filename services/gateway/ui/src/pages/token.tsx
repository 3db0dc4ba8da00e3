import { Alert, Button, Center, Group, PasswordInput, Stack, Text, Title } from '@mantine/core'
import { KeyRound } from 'lucide-react'
import { useState } from 'react'
import { token } from '../api/token.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { LanguageSwitch, SchemeSwitch } from '../shell.tsx'

/** Asks for the token: there is none, or the node refused it. */
export function TokenPage() {
  const { t } = useTexts()
  const [value, setValue] = useState('')
  return (
    <Center component="main" mih="100dvh" p="md">
      <form
        className="card"
        style={{ width: 'min(100%, 27rem)', padding: '1.75rem' }}
        onSubmit={event => {
          event.preventDefault()
          if (value.trim() !== '') token.set(value)
        }}
      >
        <Stack>
          <Group justify="space-between" wrap="nowrap">
            <Group gap={10} wrap="nowrap">
              <img src="./favicon.svg" alt="" width={32} height={32} />
              <Title order={1}>Artel</Title>
            </Group>
            <Group gap="xs" wrap="nowrap">
              <LanguageSwitch />
              <SchemeSwitch />
            </Group>
          </Group>
          {token.wasRefused() && (
            <Alert color="red" variant="light" role="alert" title={t('token.refusedTitle')}>
              {t('token.refused')}
            </Alert>
          )}
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
    </Center>
  )
}
