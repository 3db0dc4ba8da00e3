import { Button, Group, SimpleGrid, Stack, Table, Text } from '@mantine/core'
import { useMemo } from 'react'
import { useJobList } from '../api/job-list.ts'
import { useLive, withLive } from '../api/live.ts'
import { useNetwork } from '../api/queries.ts'
import type { PeerRow } from '../api/wire.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Id } from '../parts/account.tsx'
import { Empty } from '../parts/empty.tsx'
import { JobProgress, StateBadge, share } from '../parts/job-state.tsx'
import { LazyChart } from '../parts/lazy-chart.tsx'
import { NetworkMap } from '../parts/network-map.tsx'
import { Asked, Card, Figure, Loading, PageHead } from '../parts/page.tsx'
import { href } from '../router.ts'

const SHOWN_JOBS = 5
const WHOLE: [number, number] = [0, 1]

export function OverviewPage() {
  const { t } = useTexts()
  const network = useNetwork()
  const peers = useLive(state => state.peers)
  return (
    <>
      <PageHead title={t('nav.overview')} lead={t('overview.lead')}>
        <Button component="a" href={href('compose')}>
          {t('action.compose')}
        </Button>
      </PageHead>
      <Stack gap="md">
        <Figures />
        <div className="overview-grid">
          <Stack gap="md">
            <Card
              title={t('overview.map')}
              aside={
                <Text size="xs" c="dimmed">
                  {t('overview.mapHint')}
                </Text>
              }
            >
              {peers == null ? <Loading /> : <PeerMap peers={peers} />}
            </Card>
            {peers != null && peers.length > 0 && <PeerTable peers={peers} />}
          </Stack>
          <Stack gap="md">
            <Load />
            <RecentJobs />
          </Stack>
        </div>
        <Card title={t('overview.node')}>
          <Asked query={network}>
            {node => (
              <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }}>
                <Named label={t('node.id')}>
                  <Id id={node.id} />
                </Named>
                <Named label={t('node.network')}>{node.name}</Named>
                <Named label={t('node.version')}>
                  {node.version} · {node.role}
                </Named>
                <Named label={t('node.walls')}>{t(node.walled ? 'node.walled' : 'node.notWalled')}</Named>
              </SimpleGrid>
            )}
          </Asked>
        </Card>
      </Stack>
    </>
  )
}

function Named({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text size="sm" component="div">
        {children}
      </Text>
    </div>
  )
}

function Figures() {
  const { t, format } = useTexts()
  const { data: network } = useNetwork()
  const balance = useLive(state => state.balance)
  const stats = useLive(state => state.stats.at(-1))
  const none = '–'
  return (
    <SimpleGrid cols={{ base: 2, md: 3, lg: 5 }} spacing="md">
      <Card>
        <Figure
          label={t('overview.credits')}
          value={balance == null ? none : format.credits(balance.available, 2)}
          hint={balance != null && t('overview.reserved', { amount: format.credits(balance.reserved, 2) })}
        />
      </Card>
      <Card>
        <Figure
          label={t('overview.workers')}
          value={stats == null ? none : format.number(stats.workers)}
          hint={network != null && t('overview.slots', { n: network.slots })}
        />
      </Card>
      <Card>
        <Figure
          label={t('overview.peers')}
          value={stats == null ? none : format.number(stats.peers)}
          hint={network?.name}
        />
      </Card>
      <Card>
        <Figure
          label={t('overview.forOthers')}
          value={stats == null ? none : format.number(stats.slices)}
          hint={stats != null && t('overview.memory', { amount: format.bytes(stats.memoryMb * 1e6) })}
        />
      </Card>
      <Card>
        <Figure
          label={t('overview.price')}
          value={network == null ? none : `× ${format.number(network.market, 2)}`}
          hint={t('overview.priceHint')}
        />
      </Card>
    </SimpleGrid>
  )
}

function PeerMap({ peers }: { peers: PeerRow[] }) {
  const { t } = useTexts()
  if (peers.length === 0) return <Empty title={t('empty.peers')} text={t('empty.peersText')} />
  return <NetworkMap peers={peers} />
}

function Load() {
  const { t, format } = useTexts()
  const stats = useLive(state => state.stats)
  const load = useMemo(() => {
    // the first one measures the time between two readers
    const measured = stats.slice(1)
    return [measured.map(({ time }) => time / 1000), measured.map(({ load }) => load)]
  }, [stats])
  const work = useMemo(
    () => [stats.map(({ time }) => time / 1000), stats.map(({ slices }) => slices)],
    [stats]
  )
  const last = stats.at(-1)
  return (
    <Card title={t('overview.load')}>
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <div>
          <Text size="xs" c="dimmed">
            {t('overview.cpu')}
          </Text>
          <LazyChart
            label={t('overview.cpuLabel', { load: last == null ? '–' : format.percent(last.load) })}
            data={load}
            names={[t('overview.cpu')]}
            isTime
            height={150}
            range={WHOLE}
            format={value => format.percent(value)}
          />
        </div>
        <div>
          <Text size="xs" c="dimmed">
            {t('overview.slices')}
          </Text>
          <LazyChart
            label={t('overview.slicesLabel', { n: last?.slices ?? 0 })}
            data={work}
            names={[t('overview.slices')]}
            isTime
            height={150}
            most={2}
            steps
            isWhole
            format={value => format.number(value, 0)}
          />
        </div>
      </SimpleGrid>
    </Card>
  )
}

const NEWEST = {}

function RecentJobs() {
  const { t, format } = useTexts()
  const { items, isLoading, total } = useJobList(NEWEST)
  const progress = useLive(state => state.progress)
  return (
    <Card
      title={t('overview.jobs')}
      aside={
        total > 0 && (
          <Text component="a" href={href('jobs')} size="sm" c="var(--mantine-color-anchor)">
            {t('overview.allJobs', { n: total })}
          </Text>
        )
      }
    >
      {isLoading && <Loading />}
      {!isLoading && items.length === 0 && (
        <Empty
          title={t('empty.jobs')}
          text={t('empty.jobsText')}
          action={t('action.compose')}
          to={href('compose')}
        />
      )}
      <Stack gap="xs">
        {items.slice(0, SHOWN_JOBS).map(each => {
          const job = withLive(each, progress.get(each.job))
          return (
            <a
              key={job.job}
              href={href('jobs', job.job)}
              className="clickable"
              style={{ color: 'inherit', textDecoration: 'none', borderRadius: '0.5rem', padding: '0.25rem' }}
            >
              <Group justify="space-between" wrap="nowrap" gap="xs" mb={4}>
                <Text size="sm" fw={550} truncate>
                  {job.name ?? job.type}
                </Text>
                <Group gap="xs" wrap="nowrap">
                  <Text size="xs" c="dimmed" className="num">
                    {format.percent(job.state === 'completed' ? 1 : share(job))}
                  </Text>
                  <StateBadge state={job.state} />
                </Group>
              </Group>
              <JobProgress job={job} size="sm" />
            </a>
          )
        })}
      </Stack>
    </Card>
  )
}

function PeerTable({ peers }: { peers: PeerRow[] }) {
  const { t, format } = useTexts()
  return (
    <Card title={t('overview.peerTable')}>
      <Table.ScrollContainer minWidth={520} scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}>
        <Table tabularNums>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('peer.id')}</Table.Th>
              <Table.Th>{t('peer.kind')}</Table.Th>
              <Table.Th ta="end">{t('peer.latency')}</Table.Th>
              <Table.Th ta="end">{t('peer.slots')}</Table.Th>
              <Table.Th ta="end">{t('peer.leased')}</Table.Th>
              <Table.Th ta="end">{t('peer.accepted')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {peers.slice(0, 200).map(({ peer, rttMs, worker }) => (
              <Table.Tr key={peer}>
                <Table.Td>
                  <Id id={peer} color={worker == null ? 'var(--artel-line)' : 'var(--artel-accent)'} />
                </Table.Td>
                <Table.Td>{t(worker == null ? 'peer.peer' : 'peer.worker')}</Table.Td>
                <Table.Td ta="end">{rttMs == null ? '–' : format.latency(rttMs)}</Table.Td>
                <Table.Td ta="end">{worker == null ? '–' : format.number(worker.slots)}</Table.Td>
                <Table.Td ta="end">{worker == null ? '–' : format.number(worker.leased)}</Table.Td>
                <Table.Td ta="end">{worker == null ? '–' : format.number(worker.accepted)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  )
}
