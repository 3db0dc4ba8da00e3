import { Button, CopyButton, Group, Modal, Stack, Text, Textarea } from '@mantine/core'
import type { NewInvitation } from '../../../../access/index.ts'
import { Qr } from '../../../../host/page/qr.tsx'
import { useTexts } from '../i18n/i18n.tsx'

/** Where an invitation is accepted: on the dashboard under the address that this browser uses. */
export const linkOf = ({ code }: Pick<NewInvitation, 'code'>): string =>
  `${window.location.origin}${window.location.pathname}#invite=${code}`

/** A new invitation, shown once: to copy, or to be photographed. */
export function LinkDialog({ invitation, close }: { invitation: NewInvitation | undefined; close(): void }) {
  const { t } = useTexts()
  return (
    <Modal
      opened={invitation != null}
      onClose={close}
      title={
        invitation?.name == null
          ? t('link.title', { role: invitation?.role ?? '' })
          : t('link.for', { name: invitation.name })
      }
      closeButtonProps={{ 'aria-label': t('action.close') }}
    >
      {invitation != null && <Link invitation={invitation} />}
    </Modal>
  )
}

function Link({ invitation }: { invitation: NewInvitation }) {
  const { t, format } = useTexts()
  const link = linkOf(invitation)
  return (
    <Stack>
      <Text size="sm">{t('link.once', { time: format.dateTime(invitation.expires) })}</Text>
      <Group justify="center">
        <Qr text={link} label={t('link.qr')} />
      </Group>
      <Textarea label={t('link.label')} value={link} readOnly autosize minRows={2} ff="monospace" />
      <CopyButton value={link}>
        {({ copied, copy }) => <Button onClick={copy}>{t(copied ? 'action.copied' : 'link.copy')}</Button>}
      </CopyButton>
    </Stack>
  )
}
