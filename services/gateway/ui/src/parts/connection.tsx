import { Alert, Button, Group, Loader, Text, Tooltip } from '@mantine/core'
import { WifiOff } from 'lucide-react'
import { useLive, useLiveSource } from '../api/live.ts'
import { useTexts } from '../i18n/i18n.tsx'

const DOT_COLORS = { open: '#2f9e6e', connecting: '#e9a23b', lost: '#d1495b' }

export function ConnectionDot() {
  const { t } = useTexts()
  const connection = useLive(state => state.connection)
  const label = t(`connection.${connection}`)
  return (
    <Tooltip label={label}>
      <span role="img" aria-label={label} className="dot" style={{ background: DOT_COLORS[connection] }} />
    </Tooltip>
  )
}

export function ConnectionBanner() {
  const { t } = useTexts()
  const live = useLiveSource()
  const isLost = useLive(state => state.connection === 'lost')
  return (
    <div aria-live="assertive">
      {isLost && (
        <Alert
          mb="md"
          color="red"
          variant="light"
          icon={<WifiOff size={20} aria-hidden />}
          title={t('connection.lostTitle')}
        >
          <Group justify="space-between">
            <Group gap="xs">
              <Loader size="xs" color="red" aria-hidden />
              <Text size="sm">{t('connection.lostText')}</Text>
            </Group>
            <Button size="xs" variant="default" onClick={live.retry}>
              {t('action.retry')}
            </Button>
          </Group>
        </Alert>
      )}
    </div>
  )
}
