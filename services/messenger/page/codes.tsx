import { Alert, Button, Group, Stack, Text } from '@mantine/core'
import { Printer } from 'lucide-react'
import type { ReactNode } from 'react'
import { Qr } from '../../host/page/qr.tsx'
import type { Card, Invitation } from './wire.ts'
import type { Words } from './words.ts'

/** Codes that let people in, to be cut out and handed over. */
export function Codes({ invitations, words: { t } }: { invitations: readonly Invitation[]; words: Words }) {
  if (invitations.length === 0) return null
  return (
    <Sheet title={t('codes', { n: invitations.length })} text={t('codesText')} print={t('print')}>
      {invitations.map(({ user, name, code }) => (
        <div key={user} className="invitation">
          <Head name={name} user={user} />
          <Qr text={code} label={t('codeFor', { name })} />
          <Text size="xs" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
            {code}
          </Text>
        </div>
      ))}
    </Sheet>
  )
}

/** What people without a computer sign in with for the first time, to be cut out and handed over. */
export function Cards({ cards, words: { t, time } }: { cards: readonly Card[]; words: Words }) {
  if (cards.length === 0) return null
  return (
    <Sheet title={t('cards', { n: cards.length })} text={t('cardsText')} print={t('print')}>
      {cards.map(({ user, name, password, expires, address }) => (
        <div key={user} className="invitation">
          <Head name={name} user={user} />
          {address !== undefined && (
            <>
              <Qr text={address} label={t('addressFor', { name })} />
              <Text size="xs" style={{ overflowWrap: 'anywhere' }}>
                {address}
              </Text>
            </>
          )}
          <Text size="xs" mt="xs">
            {t('firstPassword')}
          </Text>
          <Text ff="monospace" fw={600}>
            {password}
          </Text>
          <Text size="xs">{t('cardUntil', { at: time(expires) })}</Text>
        </div>
      ))}
    </Sheet>
  )
}

const Head = ({ name, user }: { name: string; user: string }) => (
  <>
    <Text fw={600}>
      <bdi>{name}</bdi>
    </Text>
    <Text size="xs">{user}</Text>
  </>
)

function Sheet(props: { title: string; text: string; print: string; children: ReactNode }) {
  return (
    <Stack gap="sm">
      <Alert color="artel" variant="light" role="status" title={props.title}>
        {props.text}
      </Alert>
      <Group>
        <Button
          variant="default"
          leftSection={<Printer size={16} aria-hidden />}
          onClick={() => window.print()}
        >
          {props.print}
        </Button>
      </Group>
      <div className="invitations">{props.children}</div>
    </Stack>
  )
}
