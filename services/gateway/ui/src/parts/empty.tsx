import { Button, EmptyState } from '@mantine/core'
import { Sprout } from 'lucide-react'

export interface EmptyProps {
  title: string
  text: string
  action?: string
  to?: string
}

/** Nothing is here yet, and what to do about it. */
export function Empty({ title, text, action, to }: EmptyProps) {
  return (
    <EmptyState
      title={title}
      description={text}
      icon={<Sprout aria-hidden />}
      variant="light"
      size="sm"
      py="md"
    >
      {action != null && (
        <EmptyState.Actions>
          <Button component="a" href={to} size="sm">
            {action}
          </Button>
        </EmptyState.Actions>
      )}
    </EmptyState>
  )
}
