import { Button, Group, NativeSelect, Text } from '@mantine/core'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useMemo, useRef, useState } from 'react'
import { type JobFilter, useJobList } from '../api/job-list.ts'
import { useLive, withLive } from '../api/live.ts'
import { useTypes } from '../api/queries.ts'
import { JOB_STATES } from '../api/states.ts'
import type { JobReport } from '../api/wire.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Empty } from '../parts/empty.tsx'
import { JobProgress, StateBadge, share } from '../parts/job-state.tsx'
import { Loading, PageHead, Problem } from '../parts/page.tsx'
import { href } from '../router.ts'

const ROW_REM = 3.75

export default function JobsPage() {
  const { t } = useTexts()
  const { data: types } = useTypes()
  const [state, setState] = useState('')
  const [type, setType] = useState('')
  const filter = useMemo<JobFilter>(
    () => ({
      ...(state === '' ? {} : { state: state as JobFilter['state'] }),
      ...(type === '' ? {} : { type })
    }),
    [state, type]
  )
  const list = useJobList(filter)
  const isFiltered = state !== '' || type !== ''
  return (
    <>
      <PageHead title={t('nav.jobs')} lead={t('jobs.count', { n: list.total })}>
        <Group gap="xs">
          <NativeSelect
            aria-label={t('jobs.byState')}
            value={state}
            onChange={event => setState(event.currentTarget.value)}
            data={[
              { value: '', label: t('jobs.anyState') },
              ...JOB_STATES.map(each => ({ value: each, label: t(`job.state.${each}`) }))
            ]}
          />
          <NativeSelect
            aria-label={t('jobs.byType')}
            value={type}
            onChange={event => setType(event.currentTarget.value)}
            data={[
              { value: '', label: t('jobs.anyType') },
              ...[...(types ?? []).map(({ type }) => type), 'batch']
            ]}
          />
          <Button component="a" href={href('compose')}>
            {t('action.compose')}
          </Button>
        </Group>
      </PageHead>
      {list.error != null && <Problem error={list.error} retry={list.reload} />}
      {list.items.length === 0 && list.isLoading && <Loading />}
      {list.items.length === 0 && !list.isLoading && list.error == null && (
        <div className="card">
          {isFiltered ? (
            <Empty title={t('empty.filter')} text={t('empty.filterText')} />
          ) : (
            <Empty
              title={t('empty.jobs')}
              text={t('empty.jobsText')}
              action={t('action.compose')}
              to={href('compose')}
            />
          )}
        </div>
      )}
      {list.items.length > 0 && <Rows {...list} />}
    </>
  )
}

/** Draws what is seen of the list, and asks for the rows that somebody scrolled to. */
function Rows({ items, total, reach }: ReturnType<typeof useJobList>) {
  const { t } = useTexts()
  const box = useRef<HTMLUListElement>(null)
  const progress = useLive(state => state.progress)
  const now = useClock()
  const rowPx = ROW_REM * Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
  const virtual = useWindowVirtualizer({
    count: Math.max(total, items.length),
    estimateSize: () => rowPx,
    overscan: 12,
    scrollMargin: box.current?.offsetTop ?? 0
  })
  const rows = virtual.getVirtualItems()
  const last = rows.at(-1)?.index ?? 0
  useEffect(() => reach(last), [last, reach])

  return (
    <div className="card" style={{ padding: 0, overflow: 'hidden' }}>
      <div className="job-row wide" style={{ minHeight: '2.5rem' }} aria-hidden="true">
        {(['jobs.job', 'jobs.state', 'jobs.progress', 'jobs.paid', 'jobs.submitted'] as const).map(key => (
          <Text key={key} size="xs" c="dimmed" className="wide">
            {t(key)}
          </Text>
        ))}
      </div>
      <ul
        ref={box}
        aria-label={t('nav.jobs')}
        style={{
          height: virtual.getTotalSize(),
          position: 'relative',
          margin: 0,
          padding: 0,
          listStyle: 'none'
        }}
      >
        {rows.map(({ index, start, size, key }) => {
          const job = items[index]
          return (
            <li
              key={key}
              aria-setsize={total}
              aria-posinset={index + 1}
              style={{
                position: 'absolute',
                insetInline: 0,
                top: 0,
                height: size,
                transform: `translateY(${start - virtual.options.scrollMargin}px)`
              }}
            >
              {job == null ? (
                <div className="job-row" style={{ height: '100%' }}>
                  <Text size="sm" c="dimmed">
                    {t('state.loading')}
                  </Text>
                </div>
              ) : (
                <Row job={withLive(job, progress.get(job.job))} now={now} />
              )}
            </li>
          )
        })}
      </ul>
    </div>
  )
}

function Row({ job, now }: { job: JobReport; now: number }) {
  const { format } = useTexts()
  const part = job.state === 'completed' ? 1 : share(job)
  return (
    <a className="job-row" href={href('jobs', job.job)} style={{ height: '100%' }}>
      <div style={{ minWidth: 0 }}>
        <Text size="sm" fw={550} truncate>
          {job.name ?? job.type}
        </Text>
        <Text size="xs" c="dimmed" truncate>
          {job.name == null ? '' : `${job.type} · `}
          <span style={{ fontFamily: 'var(--mantine-font-family-monospace)' }}>{job.job}</span>
        </Text>
      </div>
      <StateBadge state={job.state} />
      <Group gap="xs" wrap="nowrap" className="wide">
        <div style={{ flex: 1 }}>
          <JobProgress job={job} size="sm" />
        </div>
        <Text size="xs" className="num" c="dimmed" w="2.75rem" ta="end">
          {format.percent(part)}
        </Text>
      </Group>
      <Text size="sm" className="num wide">
        {format.credits(job.paid, 4)}
      </Text>
      <Text size="sm" c="dimmed" className="wide">
        {format.ago(job.submitted, now)}
      </Text>
    </a>
  )
}

const CLOCK_MS = 10_000

/** Now, for texts like «2 minutes ago». */
function useClock(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), CLOCK_MS)
    return () => window.clearInterval(timer)
  }, [])
  return now
}
