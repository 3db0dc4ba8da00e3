import { Badge, Button, Stack, Table, Text, Title } from '@mantine/core'
import { useCallback, useState } from 'react'
import { Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { Reconciliation, Status } from './api.ts'
import type { PartProps } from './part.ts'
import type { Words } from './words.ts'

const short = (peer: string): string => `…${peer.slice(-10)}`

/** The logs that are kept here, who has that of this node, and whether the database says the same. */
export function Logs(part: PartProps) {
  const { api, words, listen, fail } = part
  const { value } = useLoaded(
    useCallback(() => api.status(), [api]),
    {
      listen,
      topic: 'devices:changed',
      fail
    }
  )
  return (
    <Stack gap="md">
      {value !== undefined && <Kept status={value} words={words} />}
      <Reconcile {...part} />
    </Stack>
  )
}

function Kept({ status, words }: { status: Status; words: Words }) {
  const { t, number, megabytes, word } = words
  const { own, witnesses, chains } = status
  return (
    <>
      <section className="card">
        <Title order={2} size="h5">
          {t('fleet', { fleet: status.fleet })}
        </Title>
        <Text size="sm">
          {t('ownLog', { n: number(own.last + 1), delivered: number(own.delivered + 1) })}
        </Text>
        <Text size="sm" c="dimmed">
          {t('room', { used: megabytes(status.bytes), budget: megabytes(status.budgetBytes) })},{' '}
          {word('pressure', status.pressure)}
        </Text>
      </section>
      <section className="card" aria-label={t('witnesses')}>
        <Title order={2} size="h5" mb="xs">
          {t('witnesses')}
        </Title>
        <Rows label={t('witnesses')} empty={t('noWitnesses')}>
          {witnesses.map(({ peer, seq, error, isHashOnly }) => (
            <Row
              key={`${peer} ${isHashOnly}`}
              title={short(peer)}
              detail={error ?? t(isHashOnly ? 'hasHash' : 'hasEntries', { n: number(seq + 1) })}
            >
              <Badge variant="dot" color={error === undefined ? 'teal' : 'red'} aria-hidden />
            </Row>
          ))}
        </Rows>
      </section>
      <section className="card" aria-label={t('kept')}>
        <Title order={2} size="h5" mb="xs">
          {t('kept')}
        </Title>
        <Rows label={t('kept')} empty="">
          {chains.map(({ agent, number: of, first, last, bytes, missing, ahead, isForked }) => (
            <Row
              key={`${agent} ${of}`}
              title={`${short(agent)} / ${of}`}
              detail={[
                t('entries', { n: number(last - first + 1), first: number(first), size: megabytes(bytes) }),
                ...(missing > 0 ? [t('missing', { n: number(missing) })] : []),
                ...(ahead > 0 ? [t('ahead', { n: number(ahead) })] : []),
                ...(isForked ? [t('forked')] : [])
              ].join(' · ')}
            >
              {null}
            </Row>
          ))}
        </Rows>
      </section>
    </>
  )
}

function Reconcile({ api, words, fail }: PartProps) {
  const { t, number } = words
  const [isBusy, setIsBusy] = useState(false)
  const [found, setFound] = useState<Reconciliation>()
  async function compare(): Promise<void> {
    setIsBusy(true)
    await api.reconcile().then(setFound, fail)
    setIsBusy(false)
  }
  const columns = ['rows', 'missing', 'wrong', 'unknown'] as const
  const titles = {
    rows: 'rowsRight',
    missing: 'rowsMissing',
    wrong: 'rowsWrong',
    unknown: 'rowsUnknown'
  } as const
  return (
    <section className="card">
      <Text size="sm" c="dimmed" mb="xs">
        {t('reconcileText')}
      </Text>
      <Button variant="default" loading={isBusy} onClick={() => void compare()}>
        {t('reconcile')}
      </Button>
      {found !== undefined && (
        <>
          <Text fw={600} mt="sm" role="status">
            {t(found.isRight ? 'right' : 'wrong')}
          </Text>
          <Table.ScrollContainer minWidth={320} scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('node')}</Table.Th>
                  {columns.map(column => (
                    <Table.Th key={column} ta="right">
                      {t(titles[column])}
                    </Table.Th>
                  ))}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {found.items.map(item => (
                  <Table.Tr key={`${item.agent} ${item.number}`}>
                    <Table.Td>
                      {short(item.agent)} / {item.number}
                    </Table.Td>
                    {columns.map(column => (
                      <Table.Td key={column} ta="right" className="num">
                        {number(item[column])}
                      </Table.Td>
                    ))}
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </>
      )}
    </section>
  )
}
