import { Button, Group, Text } from '@mantine/core'
import { Pin, PinOff } from 'lucide-react'
import type { Line, Pins } from './wire.ts'
import type { Words } from './words.ts'

/** What is pinned in a chat, at its head: a click leads there. */
export function Pinned({
  pins,
  mayPin,
  words: { t },
  seek,
  unpin
}: {
  pins: Pins
  mayPin: boolean
  words: Words
  seek(line: Line): void
  unpin(line: Line): void
}) {
  if (pins.length === 0) return null
  return (
    <ul
      aria-label={t('pinned')}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      style={{
        listStyle: 'none',
        margin: 0,
        padding: 0,
        maxHeight: '6rem',
        overflowY: 'auto',
        flexShrink: 0
      }}
    >
      {pins.map(({ line, by }) => (
        <li key={line.id}>
          <Group gap="xs" wrap="nowrap" justify="space-between">
            <Button
              variant="subtle"
              color="gray"
              size="compact-sm"
              justify="flex-start"
              leftSection={<Pin size={14} aria-hidden />}
              title={t('pinnedBy', { name: by.name })}
              onClick={() => seek(line)}
              style={{ flex: 1, minWidth: 0 }}
            >
              <Text size="xs" truncate>
                <bdi>{line.by.name}</bdi>: <bdi>{line.text ?? line.file?.name ?? t('deleted')}</bdi>
              </Text>
            </Button>
            {mayPin && (
              <Button
                variant="subtle"
                color="gray"
                size="compact-sm"
                aria-label={t('unpinOf', { name: line.by.name })}
                onClick={() => unpin(line)}
              >
                <PinOff size={14} aria-hidden />
              </Button>
            )}
          </Group>
        </li>
      ))}
    </ul>
  )
}
