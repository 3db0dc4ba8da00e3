import { ActionIcon, Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { Moon, Plus, Trash2 } from 'lucide-react'
import type { Words } from './words.ts'

const MINUTES = 24 * 60
const RANGE = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/

/** `22:00-07:00` → stretches of a day as shares of it; over midnight two. Pure. */
export function stretches(hours: string): [from: number, to: number][] {
  const parts = RANGE.exec(hours)?.slice(1).map(Number)
  if (parts == null) return []
  const [h1, m1, h2, m2] = parts as [number, number, number, number]
  const from = (h1 * 60 + m1) / MINUTES
  const to = (h2 * 60 + m2) / MINUTES
  return from < to
    ? [[from, to]]
    : [
        [from, 1],
        [0, to]
      ]
}

/** When this machine wants to be left alone: a day as a bar, and the times as fields. */
export function QuietHours({
  hours,
  onChange,
  words: { t }
}: {
  hours: string[]
  onChange(hours: string[]): void
  words: Words
}) {
  return (
    <div>
      <Group justify="space-between" mb={6}>
        <Text size="sm" fw={500}>
          {t('quietTitle')}
        </Text>
        <Button
          size="compact-sm"
          variant="default"
          leftSection={<Plus size={14} aria-hidden />}
          onClick={() => onChange([...hours, '22:00-07:00'])}
        >
          {t('quietAdd')}
        </Button>
      </Group>
      <Text size="xs" c="dimmed" mb="xs">
        {t('quietHint')}
      </Text>
      <svg
        viewBox="0 0 240 26"
        role="img"
        aria-label={t('quietLabel', { hours: hours.join(', ') || '–' })}
        style={{ width: '100%', display: 'block' }}
      >
        <rect x="0" y="0" width="240" height="12" rx="4" fill="var(--artel-quiet)" />
        {hours.flatMap(stretches).map(([from, to]) => (
          <rect
            key={`${from}-${to}`}
            x={from * 240}
            y="0"
            width={Math.max(0, (to - from) * 240)}
            height="12"
            rx="3"
            fill="#5b7fd6"
          />
        ))}
        {[0, 6, 12, 18, 24].map(hour => (
          <text
            key={hour}
            x={hour * 10}
            y="23"
            fontSize="8"
            textAnchor={hour === 0 ? 'start' : hour === 24 ? 'end' : 'middle'}
            fill="var(--mantine-color-dimmed)"
          >
            {hour}
          </text>
        ))}
      </svg>
      <Stack gap="xs" mt="sm">
        {hours.length === 0 && (
          <Text size="sm" c="dimmed">
            {t('quietNone')}
          </Text>
        )}
        {hours.map((each, index) => {
          const [from = '', to = ''] = each.split('-')
          const set = (text: string): void => onChange(hours.with(index, text))
          return (
            <Group key={keyOf(hours, index)} gap="xs" wrap="nowrap">
              <Moon size={16} aria-hidden style={{ flex: 'none' }} />
              <TextInput
                type="time"
                required
                aria-label={t('quietFrom', { n: index + 1 })}
                value={from}
                onChange={event => set(`${event.currentTarget.value}-${to}`)}
              />
              <Text size="sm">–</Text>
              <TextInput
                type="time"
                required
                aria-label={t('quietTo', { n: index + 1 })}
                value={to}
                onChange={event => set(`${from}-${event.currentTarget.value}`)}
              />
              <ActionIcon
                variant="default"
                size="lg"
                aria-label={t('quietRemove', { n: index + 1 })}
                onClick={() => onChange(hours.toSpliced(index, 1))}
              >
                <Trash2 size={16} aria-hidden />
              </ActionIcon>
            </Group>
          )
        })}
      </Stack>
    </div>
  )
}

/** The place of a field in the list is its name: its text changes while somebody types. */
const keyOf = (hours: string[], index: number): string => `${index}/${hours.length}`
