import { Badge, Progress } from '@mantine/core'
import type { JobReport, JobState } from '../api/wire.ts'
import { useTexts } from '../i18n/i18n.tsx'

const COLORS: Record<JobState, string> = {
  queued: 'gray',
  running: 'blue',
  completed: 'artel',
  failed: 'red',
  cancelled: 'gray',
  expired: 'orange'
}

export function StateBadge({ state }: { state: JobState }) {
  const { t } = useTexts()
  return (
    <Badge variant="light" color={COLORS[state]} tt="none" className={`state-badge state-${COLORS[state]}`}>
      {t(`job.state.${state}`)}
    </Badge>
  )
}

export const share = ({ done, total }: Pick<JobReport, 'done' | 'total'>): number =>
  total === 0 ? 0 : Math.min(1, done / total)

export function JobProgress({ job, size = 'md' }: { job: JobReport; size?: 'sm' | 'md' | 'lg' }) {
  const { t } = useTexts()
  const value = job.state === 'completed' ? 100 : share(job) * 100
  return (
    <Progress
      value={value}
      size={size}
      radius="xl"
      color={job.finished == null ? 'artel' : COLORS[job.state]}
      animated={job.state === 'running'}
      aria-label={t('job.progress')}
    />
  )
}
