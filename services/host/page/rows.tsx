import { ActionIcon, Group, Text } from '@mantine/core'
import { Trash2 } from 'lucide-react'
import type { ReactNode } from 'react'

/** A list with something to do at the end of each row. */
export function Rows({ label, empty, children }: { label: string; empty: string; children: ReactNode[] }) {
  if (children.length === 0) return <Text size="sm">{empty}</Text>
  return (
    <ul aria-label={label} style={{ listStyle: 'none', margin: 0, padding: 0 }}>
      {children}
    </ul>
  )
}

export function Row({ title, detail, children }: { title: string; detail: string; children: ReactNode }) {
  return (
    <li style={{ paddingBlock: '0.5rem', borderBlockEnd: '1px solid var(--artel-line)' }}>
      <Group justify="space-between" gap="xs">
        <div style={{ minWidth: 0, flex: '1 1 10rem' }}>
          <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
            {title}
          </Text>
          <Text size="xs" c="dimmed">
            {detail}
          </Text>
        </div>
        <Group gap="xs">{children}</Group>
      </Group>
    </li>
  )
}

export function RemoveButton({ label, onClick }: { label: string; onClick(): void }) {
  return (
    <ActionIcon variant="subtle" size="lg" color="gray" aria-label={label} title={label} onClick={onClick}>
      <Trash2 size={18} aria-hidden />
    </ActionIcon>
  )
}
