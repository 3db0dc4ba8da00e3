import { Alert, Anchor, Button, Group, SimpleGrid, Stack, Table, Tabs, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { CircleX, Copy, Download } from 'lucide-react'
import { useEffect, useMemo, useState } from 'react'
import { call } from '../api/client.ts'
import { useLive, withLive } from '../api/live.ts'
import { useJob, useReceipts, useResult, useSlices, useSpec } from '../api/queries.ts'
import type { JobReport, Slices, TaskSpec } from '../api/wire.ts'
import { writeSpec } from '../compose/write-spec.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Id } from '../parts/account.tsx'
import { HeatMap } from '../parts/heat-map.tsx'
import { JobProgress, StateBadge, share } from '../parts/job-state.tsx'
import { Asked, Card, Figure, PageHead, Problem } from '../parts/page.tsx'
import { Code, download, ResultView } from '../parts/result-view.tsx'
import { href } from '../router.ts'
import { seriesColor } from '../theme.ts'

export default function JobPage({ job }: { job: string }) {
  const { t } = useTexts()
  return (
    <>
      <Anchor href={href('jobs')} size="sm">
        {t('job.back')}
      </Anchor>
      <JobView job={job} />
    </>
  )
}

export function JobView({ job: id, isCompact = false }: { job: string; isCompact?: boolean }) {
  const query = useJob(id)
  const progress = useLive(state => state.progress.get(id))
  return (
    <Asked query={query}>{report => <Job job={withLive(report, progress)} isCompact={isCompact} />}</Asked>
  )
}

function Job({ job, isCompact }: { job: JobReport; isCompact: boolean }) {
  const { t } = useTexts()
  const isRunning = job.finished == null
  const title = job.name ?? job.type
  return (
    <Stack gap="md">
      {isCompact ? (
        <Group justify="space-between">
          <Group gap="xs">
            <Text fw={600}>{title}</Text>
            <StateBadge state={job.state} />
          </Group>
          <Group gap="xs">
            {isRunning && <Cancel job={job} />}
            <Button component="a" href={href('jobs', job.job)} size="xs" variant="default">
              {t('job.open')}
            </Button>
          </Group>
        </Group>
      ) : (
        <PageHead
          title={
            <Group gap="sm">
              {title}
              <StateBadge state={job.state} />
            </Group>
          }
          lead={`${job.type} · ${job.job}`}
        >
          <Group gap="xs">
            {isRunning && <Cancel job={job} />}
            <Button
              component="a"
              href={href('compose', job.job)}
              variant="default"
              leftSection={<Copy size={16} aria-hidden />}
            >
              {t('job.again')}
            </Button>
          </Group>
        </PageHead>
      )}
      <Summary job={job} />
      {job.failure != null && <FailureAlert failure={job.failure} />}
      {job.state === 'completed' && <Result job={job} />}
      <Work job={job} />
      {!isCompact && <Details job={job} />}
    </Stack>
  )
}

function Summary({ job }: { job: JobReport }) {
  const { t, format } = useTexts()
  const progress = useLive(state => state.progress.get(job.job))
  const now = useNow(job.finished == null)
  const elapsed = (job.finished ?? now) - job.submitted
  return (
    <Card>
      <Group justify="space-between" mb={6}>
        <Text size="sm" className="num">
          {t('job.units', { done: job.done, n: job.total })}
        </Text>
        <Text size="sm" fw={600} className="num">
          {format.percent(job.state === 'completed' ? 1 : share(job), 1)}
        </Text>
      </Group>
      <JobProgress job={job} size="lg" />
      <SimpleGrid cols={{ base: 2, sm: 3, lg: 5 }} mt="md">
        <Figure
          label={t('job.elapsed')}
          value={format.duration(Math.max(0, elapsed))}
          hint={format.dateTime(job.submitted)}
        />
        <Figure
          label={t(job.finished == null ? 'job.remaining' : 'job.finished')}
          value={
            job.finished != null
              ? format.time(job.finished)
              : progress?.remainingMs == null
                ? '–'
                : format.duration(progress.remainingMs)
          }
        />
        <Figure
          label={t('job.workers')}
          value={format.number(
            job.finished == null ? (progress?.workers ?? job.shares.length) : job.shares.length
          )}
          hint={t('job.retries', { n: job.retries })}
        />
        <Figure
          label={t('job.paid')}
          value={format.credits(job.paid, 4)}
          hint={t('job.bound', { amount: format.credits(job.bound, 4) })}
        />
        <Verification job={job} />
      </SimpleGrid>
    </Card>
  )
}

/** How sure the result is: what was asked for, what was reached, and what that took. */
function Verification({ job }: { job: JobReport }) {
  const { t, format } = useTexts()
  const { data: spec } = useSpec(job.job)
  const { confidence, replicas = 1, audited = 0, canaries = 0 } = job.verification ?? {}
  return (
    <Figure
      label={t('job.verification')}
      value={wanted(spec)}
      hint={
        confidence != null &&
        t('job.verified', {
          reached: format.percent(confidence, 3),
          copies: format.number(Math.round(replicas * 100) / 100),
          canaries: format.number(canaries),
          n: audited
        })
      }
    />
  )

  function wanted(spec: TaskSpec | TaskSpec[] | undefined): string {
    const verify = Array.isArray(spec) ? spec[0]?.verify : spec?.verify
    if (verify === 'none') return t('job.unverified')
    if (typeof verify === 'object' && verify !== null) {
      if ('confidence' in verify) return format.percent(Number(verify.confidence), 3)
      if ('quorum' in verify) return t('job.quorum', { n: Number(verify.quorum) })
    }
    return spec == null ? '–' : format.percent(DEFAULT_CONFIDENCE)
  }
}
/** What the node takes where a spec says nothing. */
const DEFAULT_CONFIDENCE = 0.99

function FailureAlert({ failure }: { failure: NonNullable<JobReport['failure']> }) {
  const { t } = useTexts()
  return (
    <Alert
      color="red"
      variant="light"
      icon={<CircleX size={20} aria-hidden />}
      title={t(`failure.${failure.name}`)}
      role="alert"
    >
      <Stack gap="xs">
        <Text size="sm">{failure.message}</Text>
        {failure.unit != null && <Text size="sm">{t('failure.unit', { n: failure.unit })}</Text>}
        {failure.stack != null && <Code text={failure.stack} label={t('failure.stack')} />}
        {failure.said != null && <Code text={failure.said} label={t('failure.said')} />}
        <Text size="sm" c="dimmed">
          {t('failure.free')}
        </Text>
      </Stack>
    </Alert>
  )
}

function Result({ job }: { job: JobReport }) {
  const { t } = useTexts()
  const result = useResult(job.job, true)
  return (
    <Card
      title={t('job.result')}
      aside={job.memoOf != null && <Anchor href={href('jobs', job.memoOf)}>{t('job.memo')}</Anchor>}
    >
      <Asked query={result}>{({ value }) => <ResultView value={value} name={job.job} />}</Asked>
    </Card>
  )
}

function Work({ job }: { job: JobReport }) {
  const { t, format } = useTexts()
  const slices = useSlices(job.job, job.finished == null)
  const colors = useMemo(() => colorsOf(job, slices.data), [job, slices.data])
  const me = useLive(state => state.balance?.account)
  const counts = useMemo(() => leasedBy(slices.data), [slices.data])
  if (job.memoOf != null) return null
  const workers = [...colors.keys()]
  const shares = new Map(job.shares.map(each => [each.worker, each]))
  return (
    <Card title={t('job.slices')}>
      <Asked query={slices}>{data => <HeatMap slices={data} total={job.total} colors={colors} />}</Asked>
      {workers.length > 0 && (
        <Table.ScrollContainer minWidth={280} mt="sm" scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}>
          <Table tabularNums>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('job.worker')}</Table.Th>
                <Table.Th ta="end">{t('job.workerSlices')}</Table.Th>
                <Table.Th ta="end">{t('job.workerOpen')}</Table.Th>
                <Table.Th ta="end">{t('job.workerPaid')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {workers.map(worker => (
                <Table.Tr key={worker}>
                  <Table.Td>
                    <Id id={worker} color={colors.get(worker)} isMe={worker === me} />
                  </Table.Td>
                  <Table.Td ta="end">{format.number(shares.get(worker)?.slices ?? 0)}</Table.Td>
                  <Table.Td ta="end">{format.number(counts.get(worker) ?? 0)}</Table.Td>
                  <Table.Td ta="end">{format.credits(shares.get(worker)?.paid ?? '0')}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Card>
  )
}

/** A worker keeps its colour while the job runs: in the order of their ids. */
function colorsOf(job: JobReport, slices: Slices | undefined): Map<string, string> {
  const workers = new Set(job.shares.map(({ worker }) => worker))
  for (const { workers: several } of slices?.items ?? [])
    for (const { worker } of several) workers.add(worker)
  for (const { worker } of slices?.open ?? []) workers.add(worker)
  return new Map([...workers].sort().map((worker, index) => [worker, seriesColor(index)]))
}

function leasedBy(slices: Slices | undefined): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { worker } of slices?.open ?? []) counts.set(worker, (counts.get(worker) ?? 0) + 1)
  return counts
}

function Details({ job }: { job: JobReport }) {
  const { t } = useTexts()
  return (
    <Card>
      <Tabs defaultValue="spec" keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="spec">{t('job.spec')}</Tabs.Tab>
          <Tabs.Tab value="receipts">{t('job.receipts')}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="spec">
          <Spec job={job.job} />
        </Tabs.Panel>
        <Tabs.Panel value="receipts">
          <Receipts job={job} />
        </Tabs.Panel>
      </Tabs>
    </Card>
  )
}

function Spec({ job }: { job: string }) {
  const { t } = useTexts()
  const spec = useSpec(job)
  return <Asked query={spec}>{value => <Code text={writeSpec(value)} label={t('job.spec')} />}</Asked>
}

const SHOWN_RECEIPTS = 200

function Receipts({ job }: { job: JobReport }) {
  const { t, format } = useTexts()
  const receipts = useReceipts(job.job, true)
  return (
    <Asked query={receipts}>
      {({ items }) =>
        items.length === 0 ? (
          <Text size="sm" c="dimmed">
            {t('job.noReceipts')}
          </Text>
        ) : (
          <Table.ScrollContainer
            minWidth={340}
            mah="24rem"
            scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}
          >
            <Table tabularNums>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('receipt.slice')}</Table.Th>
                  <Table.Th>{t('job.worker')}</Table.Th>
                  <Table.Th ta="end">{t('receipt.file')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.slice(0, SHOWN_RECEIPTS).map(({ slice, worker, receipt }) => (
                  <Table.Tr key={`${slice}-${worker}`}>
                    <Table.Td>{format.number(slice)}</Table.Td>
                    <Table.Td>
                      <Id id={worker} />
                    </Table.Td>
                    <Table.Td ta="end">
                      <Button
                        size="compact-xs"
                        variant="default"
                        leftSection={<Download size={12} aria-hidden />}
                        aria-label={t('receipt.download', { slice, worker })}
                        onClick={() =>
                          download(
                            `${slice}-${worker}.receipt`,
                            Uint8Array.from(atob(receipt), char => char.charCodeAt(0)),
                            'application/octet-stream'
                          )
                        }
                      >
                        {t('action.save')}
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )
      }
    </Asked>
  )
}

function Cancel({ job: { job } }: { job: JobReport }) {
  const { t } = useTexts()
  const queries = useQueryClient()
  const [isSure, setSure] = useState(false)
  const cancel = useMutation({
    mutationFn: () =>
      call<JobReport>(`/tasks/${encodeURIComponent(job)}/cancel`, { method: 'POST', body: {} }),
    onSuccess: report => queries.setQueryData(['job', job], report)
  })
  if (cancel.error != null) return <Problem error={cancel.error} retry={() => cancel.mutate()} />
  return (
    <Button
      color="red"
      variant={isSure ? 'filled' : 'light'}
      size="xs"
      loading={cancel.isPending}
      onClick={() => (isSure ? cancel.mutate() : setSure(true))}
      onBlur={() => setSure(false)}
    >
      {t(isSure ? 'job.reallyCancel' : 'job.cancel')}
    </Button>
  )
}

const TICK_MS = 500

function useNow(isTicking: boolean): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!isTicking) return
    const timer = window.setInterval(() => setNow(Date.now()), TICK_MS)
    return () => window.clearInterval(timer)
  }, [isTicking])
  return now
}
