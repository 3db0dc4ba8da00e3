import { Group, NativeSelect, SegmentedControl, Table, Text } from '@mantine/core'
import { useCallback, useState } from 'react'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { By } from './api.ts'
import { type PartProps, REFRESH_MS } from './part.ts'
import { savedShare } from './sums.ts'

const DAYS = [7, 30, 366] as const
const BY: readonly By[] = ['day', 'user', 'model']

/** What was spent, and what the cache has saved. */
export function Costs({ api, words, fail }: PartProps) {
  const { t, number, credits, percent, day } = words
  const [days, setDays] = useState<number>(30)
  const [by, setBy] = useState<By>('day')
  const { value } = useLoaded(
    // what is shown until the next answer is by what it was asked
    useCallback(async () => ({ of: by, items: (await api.spending(days, by)).items }), [api, days, by]),
    { fail, everyMs: REFRESH_MS }
  )
  if (value == null) return null
  const { items, of } = value
  const all = {
    key: t('all'),
    calls: items.reduce((sum, { calls }) => sum + calls, 0),
    saved: items.reduce((sum, { saved }) => sum + saved, 0),
    cost: String(items.reduce((sum, { cost }) => sum + BigInt(cost), 0n))
  }
  const row = (sum: typeof all, label: string) => (
    <Table.Tr key={sum.key}>
      <Table.Th scope="row" fw={sum === all ? 650 : 400} style={{ overflowWrap: 'anywhere' }}>
        {label}
      </Table.Th>
      <Table.Td ta="end">{number(sum.calls)}</Table.Td>
      <Table.Td ta="end">
        {number(sum.saved)}
        <Text size="xs" c="dimmed">
          {percent(savedShare([sum]))}
        </Text>
      </Table.Td>
      <Table.Td ta="end">{credits(sum.cost)}</Table.Td>
    </Table.Tr>
  )
  return (
    <section className="card" aria-label={t('costs')}>
      <Group align="flex-end" mb="sm">
        <SegmentedControl
          aria-label={t('by')}
          value={by}
          onChange={value => setBy(value as By)}
          data={BY.map(value => ({ value, label: t(`by_${value}` as 'by_day') }))}
        />
        <NativeSelect
          aria-label={t('days')}
          value={String(days)}
          onChange={({ currentTarget }) => setDays(Number(currentTarget.value))}
          data={DAYS.map(value => ({ value: String(value), label: t(`days_${value}`) }))}
        />
      </Group>
      {items.length === 0 ? (
        <Text size="sm">{t('noCosts')}</Text>
      ) : (
        <Table aria-label={t('costs')} tabularNums horizontalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t(`by_${of}` as 'by_day')}</Table.Th>
              <Table.Th ta="end">{t('calls')}</Table.Th>
              <Table.Th ta="end">{t('saved')}</Table.Th>
              <Table.Th ta="end">{t('cost')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {items.map(sum => row(sum, of === 'day' ? day(sum.key) : sum.key))}
            {row(all, all.key)}
          </Table.Tbody>
        </Table>
      )}
    </section>
  )
}
