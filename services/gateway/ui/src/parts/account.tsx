import { CopyButton, Text, Tooltip, UnstyledButton, VisuallyHidden } from '@mantine/core'
import { shortId } from '../format.ts'
import { useTexts } from '../i18n/i18n.tsx'

/** An id that is too long to read: its end, all of it on hover, copied on click. */
export function Id({ id, color, isMe = false }: { id: string; color?: string; isMe?: boolean }) {
  const { t } = useTexts()
  return (
    <CopyButton value={id} timeout={1500}>
      {({ copied, copy }) => (
        <Tooltip
          label={copied ? t('action.copied') : id}
          multiline
          maw="20rem"
          style={{ wordBreak: 'break-all' }}
        >
          <UnstyledButton
            onClick={copy}
            style={{ display: 'inline-flex', alignItems: 'center', gap: '0.4rem', maxWidth: '100%' }}
          >
            {color != null && <span className="dot" style={{ background: color }} />}
            <Text span size="sm" ff="monospace" truncate>
              {isMe ? t('state.thisNode') : shortId(id)}
            </Text>
            <VisuallyHidden>{t('action.copyId', { id })}</VisuallyHidden>
          </UnstyledButton>
        </Tooltip>
      )}
    </CopyButton>
  )
}
