import {
  Anchor,
  Badge,
  Button,
  Group,
  Modal,
  Progress,
  SimpleGrid,
  Stack,
  Table,
  Text,
  TextInput
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { call } from '../api/client.ts'
import { useLive } from '../api/live.ts'
import { useBalance, useHistory, useReputation, useTopReputation } from '../api/queries.ts'
import type { Balance, HistoryEntry, Reputation } from '../api/wire.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { Id } from '../parts/account.tsx'
import { effectOf, heldOverTime, microOf } from '../parts/credits.ts'
import { Empty } from '../parts/empty.tsx'
import { LazyChart } from '../parts/lazy-chart.tsx'
import { Asked, Card, Figure, PageHead, Problem } from '../parts/page.tsx'
import { VerifyReceipt } from '../parts/verify-receipt.tsx'
import { href } from '../router.ts'

export default function LedgerPage() {
  const { t } = useTexts()
  const asked = useBalance()
  const live = useLive(state => state.balance)
  return (
    <>
      <PageHead title={t('nav.ledger')} lead={t('ledger.lead')} />
      <Asked query={{ ...asked, data: live ?? asked.data }}>
        {balance => (
          <Stack gap="md">
            <Amounts balance={balance} />
            <div className="split">
              <Stack gap="md">
                <OverTime balance={balance} />
                <Entries account={balance.account} />
              </Stack>
              <Stack gap="md">
                <VerifyReceipt />
                <Standing account={balance.account} />
              </Stack>
            </div>
          </Stack>
        )}
      </Asked>
    </>
  )
}

function Amounts({ balance }: { balance: Balance }) {
  const { t, format } = useTexts()
  return (
    <SimpleGrid cols={{ base: 2, lg: 4 }}>
      <Card>
        <Figure
          label={t('ledger.available')}
          value={format.credits(balance.available, 4)}
          hint={<Transfer />}
        />
      </Card>
      <Card>
        <Figure
          label={t('ledger.reserved')}
          value={format.credits(balance.reserved, 4)}
          hint={t('ledger.reservedHint')}
        />
      </Card>
      <Card>
        <Figure
          label={t('ledger.supply')}
          value={format.credits(balance.supply.total, 2)}
          hint={t('ledger.burnt', { amount: format.credits(balance.supply.burnt, 2) })}
        />
      </Card>
      <Card>
        <Text c="dimmed" size="sm">
          {t('ledger.account')}
        </Text>
        <Id id={balance.account} />
        <Text c="dimmed" size="xs" mt={6}>
          {t('ledger.accountHint')}
        </Text>
      </Card>
    </SimpleGrid>
  )
}

function OverTime({ balance }: { balance: Balance }) {
  const { t, format } = useTexts()
  const history = useHistory()
  const data = useMemo(
    () => heldOverTime(history.data?.items ?? [], balance, Date.now()),
    [history.data, balance]
  )
  return (
    <Card title={t('ledger.overTime')}>
      <Asked query={history}>
        {() => (
          <LazyChart
            label={t('ledger.overTimeLabel', { amount: format.credits(balance.available, 4) })}
            data={data}
            names={[t('ledger.held')]}
            isTime
            steps
            height={220}
            format={value => format.number(value, 2)}
          />
        )}
      </Asked>
    </Card>
  )
}

const SHOWN_ENTRIES = 200

function Entries({ account }: { account: string }) {
  const { t } = useTexts()
  const history = useHistory()
  return (
    <Card title={t('ledger.history')}>
      <Asked query={history}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={t('empty.history')} text={t('empty.historyText')} />
          ) : (
            <Table.ScrollContainer
              minWidth={440}
              mah="32rem"
              scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}
            >
              <Table tabularNums>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>{t('ledger.when')}</Table.Th>
                    <Table.Th>{t('ledger.what')}</Table.Th>
                    <Table.Th ta="end">{t('ledger.amount')}</Table.Th>
                    <Table.Th>{t('ledger.with')}</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.slice(0, SHOWN_ENTRIES).map(entry => (
                    <Entry key={`${entry.from}-${entry.seq}-${entry.to}`} entry={entry} account={account} />
                  ))}
                </Table.Tbody>
              </Table>
              {items.length > SHOWN_ENTRIES && (
                <Text size="sm" c="dimmed" p="xs">
                  {t('result.more', { shown: SHOWN_ENTRIES, n: items.length })}
                </Text>
              )}
            </Table.ScrollContainer>
          )
        }
      </Asked>
    </Card>
  )
}

function Entry({ entry, account }: { entry: HistoryEntry; account: string }) {
  const { t, format } = useTexts()
  const effect = effectOf(entry, account)
  const other = entry.from === account ? entry.to : entry.from
  const sign = effect > 0n ? '+' : ''
  return (
    <Table.Tr>
      <Table.Td style={{ whiteSpace: 'nowrap' }}>{format.moment(entry.time)}</Table.Td>
      <Table.Td>{t(`ledger.type.${entry.type}`)}</Table.Td>
      <Table.Td ta="end" fw={600} c={effect > 0n ? 'var(--artel-good)' : undefined}>
        {effect === 0n ? (
          <Text span size="sm" c="dimmed">
            {format.credits(entry.amount)}
          </Text>
        ) : (
          `${sign}${format.credits(effect.toString())}`
        )}
      </Table.Td>
      <Table.Td>
        {entry.job != null ? (
          <Anchor href={href('jobs', entry.job)} size="sm" ff="monospace">
            {entry.job.slice(0, 8)}
          </Anchor>
        ) : other == null ? (
          (entry.memo ?? '')
        ) : (
          <Group gap="xs" wrap="nowrap">
            <Id id={other} isMe={other === account} />
            {entry.memo != null && (
              <Text size="xs" c="dimmed">
                {entry.memo}
              </Text>
            )}
          </Group>
        )}
      </Table.Td>
    </Table.Tr>
  )
}

function Transfer() {
  const { t } = useTexts()
  const [isOpen, { open, close }] = useDisclosure(false)
  const queries = useQueryClient()
  const [to, setTo] = useState('')
  const [amount, setAmount] = useState('')
  const [memo, setMemo] = useState('')
  const micro = microOf(amount)
  const transfer = useMutation({
    mutationFn: () =>
      call('/credits/transfer', {
        method: 'POST',
        body: { to: to.trim(), amount: micro, ...(memo === '' ? {} : { memo }) }
      }),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ['history'] })
      void queries.invalidateQueries({ queryKey: ['balance'] })
      setAmount('')
      close()
    }
  })
  return (
    <>
      <Button size="compact-xs" variant="default" mt={4} onClick={open}>
        {t('transfer.open')}
      </Button>
      <Modal
        opened={isOpen}
        onClose={close}
        title={t('transfer.title')}
        closeButtonProps={{ 'aria-label': t('action.close') }}
      >
        <form
          onSubmit={event => {
            event.preventDefault()
            transfer.mutate()
          }}
        >
          <Stack>
            <TextInput
              label={t('transfer.to')}
              required
              value={to}
              onChange={event => setTo(event.currentTarget.value)}
              data-autofocus
            />
            <TextInput
              label={t('transfer.amount')}
              required
              inputMode="decimal"
              value={amount}
              error={amount !== '' && micro == null ? t('transfer.badAmount') : undefined}
              onChange={event => setAmount(event.currentTarget.value)}
            />
            <TextInput
              label={t('transfer.memo')}
              maxLength={256}
              value={memo}
              onChange={event => setMemo(event.currentTarget.value)}
            />
            <Text size="sm" c="dimmed">
              {t('transfer.final')}
            </Text>
            {transfer.error != null && <Problem error={transfer.error} />}
            <Button type="submit" loading={transfer.isPending} disabled={micro == null || to.trim() === ''}>
              {t('transfer.send')}
            </Button>
          </Stack>
        </form>
      </Modal>
    </>
  )
}

const EVIDENCE = ['success', 'quality', 'consistency', 'age', 'cooperation'] as const

function Standing({ account }: { account: string }) {
  const { t, format } = useTexts()
  const [chosen, setChosen] = useState(account)
  const reputation = useReputation(chosen)
  const top = useTopReputation()
  return (
    <Card title={t('reputation.title')}>
      <Asked query={reputation}>
        {value => (
          <Stack gap="xs" mb="md">
            <Group justify="space-between">
              <Group gap="xs">
                <Id id={value.account} isMe={value.account === account} />
                <Level {...value} />
                {value.isCapped && (
                  <Badge color="red" variant="light" tt="none" className="state-badge state-red">
                    {t('reputation.capped')}
                  </Badge>
                )}
              </Group>
              <Text fw={650} fz="lg" className="num">
                {format.percent(value.score)}
              </Text>
            </Group>
            {EVIDENCE.map(name => (
              <div key={name}>
                <Group justify="space-between">
                  <Text size="xs">{t(`reputation.${name}`)}</Text>
                  <Text size="xs" c="dimmed" className="num">
                    {format.percent(value[name])}
                  </Text>
                </Group>
                <Progress value={value[name] * 100} size="sm" aria-label={t(`reputation.${name}`)} />
              </div>
            ))}
          </Stack>
        )}
      </Asked>
      <Text size="sm" fw={600} mb={4} component="h3">
        {t('reputation.top')}
      </Text>
      <Asked query={top}>
        {({ items }) => (
          <Table tabularNums verticalSpacing={6}>
            <Table.Tbody>
              {items.map(each => (
                <Table.Tr key={each.account}>
                  <Table.Td>
                    <Id id={each.account} isMe={each.account === account} />
                  </Table.Td>
                  <Table.Td>
                    <Level {...each} />
                  </Table.Td>
                  <Table.Td ta="end">{format.percent(each.score)}</Table.Td>
                  <Table.Td ta="end">
                    <Button
                      size="compact-xs"
                      variant="default"
                      onClick={() => setChosen(each.account)}
                      aria-label={t('reputation.show', { account: each.account })}
                    >
                      {t('reputation.evidence')}
                    </Button>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </Asked>
    </Card>
  )
}

const LEVELS: Record<Reputation['level'], string> = {
  excellent: 'teal',
  good: 'teal',
  average: 'blue',
  poor: 'orange',
  terrible: 'red'
}

/** Who did nothing yet is not terrible. */
const isNew = ({ age, consistency, isCapped }: Reputation): boolean =>
  age === 0 && consistency === 0 && !isCapped

function Level(reputation: Reputation) {
  const { t } = useTexts()
  const { level } = reputation
  const color = isNew(reputation) ? 'gray' : LEVELS[level]
  return (
    <Badge color={color} variant="light" tt="none" className={`state-badge state-${color}`}>
      {t(isNew(reputation) ? 'reputation.new' : `reputation.level.${level}`)}
    </Badge>
  )
}
