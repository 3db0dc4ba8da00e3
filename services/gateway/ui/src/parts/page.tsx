import { Alert, Button, Center, Group, Loader, Stack, Text, Title } from '@mantine/core'
import { TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { ProblemError, UnreachableError } from '../api/client.ts'
import { useTexts } from '../i18n/i18n.tsx'

export function PageHead({
  title,
  lead,
  children
}: {
  title: ReactNode
  lead?: ReactNode
  children?: ReactNode
}) {
  return (
    <Group justify="space-between" align="flex-end" mb="md" gap="sm">
      <div style={{ minWidth: 0 }}>
        <Title order={1}>{title}</Title>
        {lead != null && (
          <Text c="dimmed" size="sm" mt={2}>
            {lead}
          </Text>
        )}
      </div>
      {children}
    </Group>
  )
}

export interface CardProps {
  title?: ReactNode
  aside?: ReactNode
  children: ReactNode
  className?: string
}

export function Card({ title, aside, children, className = '' }: CardProps) {
  return (
    <section className={`card ${className}`}>
      {title != null && (
        <Group justify="space-between" mb="sm" gap="xs">
          <Title order={2}>{title}</Title>
          {aside}
        </Group>
      )}
      {children}
    </section>
  )
}

/** One figure with what it means. */
export function Figure({ label, value, hint }: { label: string; value: ReactNode; hint?: ReactNode }) {
  return (
    <div style={{ minWidth: 0 }}>
      <Text c="dimmed" size="sm">
        {label}
      </Text>
      <Text fz="1.5rem" fw={650} lh={1.25} className="num">
        {value}
      </Text>
      {hint != null && (
        <Text c="dimmed" size="xs" component="div">
          {hint}
        </Text>
      )}
    </div>
  )
}

export function Loading() {
  const { t } = useTexts()
  return (
    <Center mih="12rem" role="status" aria-label={t('state.loading')}>
      <Loader aria-hidden />
    </Center>
  )
}

/** What went wrong and what to do now. */
export function Problem({ error, retry }: { error: Error; retry?: () => void }) {
  const { t } = useTexts()
  const isGone = error instanceof UnreachableError
  return (
    <Alert
      role="alert"
      color={isGone ? 'orange' : 'red'}
      variant="light"
      icon={<TriangleAlert size={20} aria-hidden />}
      title={
        isGone ? t('problem.unreachable') : error instanceof ProblemError ? error.title : t('problem.page')
      }
    >
      <Stack gap="xs" align="flex-start">
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          {isGone ? t('problem.unreachableText') : error.message}
        </Text>
        {error instanceof ProblemError && error.status === 403 && <Text size="sm">{t('problem.scope')}</Text>}
        {retry != null && (
          <Button size="xs" variant="default" onClick={retry}>
            {t('action.retry')}
          </Button>
        )}
      </Stack>
    </Alert>
  )
}

/** The states of a question to the node, drawn in one way everywhere. */
export function Asked<T>({
  query,
  children
}: {
  query: { data: T | undefined; error: Error | null; refetch: () => unknown }
  children: (data: T) => ReactNode
}) {
  // older data is better than none: the banner above says that the node is gone
  if (query.data !== undefined) return children(query.data)
  if (query.error != null) return <Problem error={query.error} retry={() => void query.refetch()} />
  return <Loading />
}
