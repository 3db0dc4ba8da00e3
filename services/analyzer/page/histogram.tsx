import { Button, Table, Text } from '@mantine/core'
import { Download } from 'lucide-react'
import { asCsv, type Bar } from './rows.ts'
import type { Words } from './words.ts'

/** Those beyond are in the file only. */
const MAX_BARS = 200
/** A word of so many letters has a line. */
const LONG = 12
const URL_MS = 10_000

/** The bars as a table, which a screen reader reads and a narrow window shows. */
export function Histogram({ bars, words, file }: { bars: readonly Bar[]; words: Words; file: string }) {
  const { t, number, chance, percent } = words
  const isGain = bars.every(({ share }) => share == null)
  const isCount = !isGain && bars.every(({ exact }) => exact == null)
  const measure = t(isGain ? 'gain' : isCount ? 'times' : 'chance')
  const most = Math.max(...bars.map(({ share = 0 }) => share), 0) || 1
  return (
    <>
      <Table aria-label={measure} tabularNums horizontalSpacing="xs" mt="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('key')}</Table.Th>
            <Table.Th ta="end">{measure}</Table.Th>
            {!isGain && <Table.Th w="40%">{t('share')}</Table.Th>}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {bars.slice(0, MAX_BARS).map(({ label, value, share, exact }) => (
            <Table.Tr key={label} title={exact}>
              <Table.Th
                scope="row"
                fw={400}
                style={{ overflowWrap: label.length > LONG ? 'anywhere' : 'normal' }}
              >
                {label}
              </Table.Th>
              <Table.Td ta="end">{isCount ? number(value) : chance(value)}</Table.Td>
              {share != null && (
                <Table.Td>
                  <div
                    aria-hidden
                    style={{
                      height: '0.5rem',
                      borderRadius: '0.25rem',
                      background: 'var(--artel-accent)',
                      width: `${(share / most) * 100}%`,
                      minWidth: share > 0 ? 2 : 0,
                      transition: 'width 200ms'
                    }}
                  />
                  <Text size="xs" c="dimmed" span>
                    {percent(share)}
                  </Text>
                </Table.Td>
              )}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {bars.length > MAX_BARS && (
        <Text size="sm" mt="xs">
          {t('more', { shown: MAX_BARS, n: number(bars.length) })}
        </Text>
      )}
      <Button
        mt="sm"
        variant="default"
        size="xs"
        leftSection={<Download size={16} aria-hidden />}
        onClick={() => save(file, asCsv([t('key'), measure, t('exact')], bars))}
      >
        {t('csv')}
      </Button>
    </>
  )
}

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // after the browser took it
  window.setTimeout(() => URL.revokeObjectURL(url), URL_MS)
}
