import { Alert, Button, Group, Stack, Text } from '@mantine/core'
import { Printer } from 'lucide-react'
import { Qr } from '../../host/page/qr.tsx'
import type { Invitation } from './wire.ts'
import type { Words } from './words.ts'

/** Codes that let people in, to be cut out and handed over. */
export function Codes({ invitations, words: { t } }: { invitations: readonly Invitation[]; words: Words }) {
  if (invitations.length === 0) return null
  return (
    <Stack gap="sm">
      <Alert color="artel" variant="light" role="status" title={t('codes', { n: invitations.length })}>
        {t('codesText')}
      </Alert>
      <Group>
        <Button
          variant="default"
          leftSection={<Printer size={16} aria-hidden />}
          onClick={() => window.print()}
        >
          {t('print')}
        </Button>
      </Group>
      <div className="invitations">
        {invitations.map(({ user, name, code }) => (
          <div key={user} className="invitation">
            <Text fw={600}>
              <bdi>{name}</bdi>
            </Text>
            <Text size="xs">{user}</Text>
            <Qr text={code} label={t('codeFor', { name })} />
            <Text size="xs" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
              {code}
            </Text>
          </div>
        ))}
      </div>
    </Stack>
  )
}
