import { Stack, Text, TextInput, UnstyledButton } from '@mantine/core'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useMemo, useRef, useState } from 'react'
import type { DeviceRow } from './api.ts'
import { found, nameOf, type Words } from './words.ts'

const ROW_REM = 4.25
/** Readings that a row has room for. */
const SHOWN = 4

interface FleetProps {
  /** undefined: not known yet */
  rows: DeviceRow[] | undefined
  words: Words
  open(device: DeviceRow): void
}

/** All devices with their newest values; only what is seen is drawn. */
export function Fleet({ rows, words, open }: FleetProps) {
  const { t } = words
  const [typed, setTyped] = useState('')
  const shown = useMemo(() => found(rows ?? [], typed), [rows, typed])
  if (rows === undefined) return null
  if (rows.length === 0)
    return (
      <section className="card">
        <Text fw={600}>{t('noDevices')}</Text>
        <Text size="sm" c="dimmed">
          {t('noDevicesText')}
        </Text>
      </section>
    )
  return (
    <Stack gap="sm">
      <TextInput
        label={t('search')}
        value={typed}
        onChange={({ currentTarget }) => setTyped(currentTarget.value)}
        maw="24rem"
      />
      <Text size="sm" c="dimmed" role="status">
        {shown.length === 0 ? t('nothingFound') : t('count', { n: words.number(shown.length) })}
      </Text>
      {shown.length > 0 && <Rows rows={shown} words={words} open={open} />}
    </Stack>
  )
}

function Rows({ rows, words, open }: Required<FleetProps> & { rows: DeviceRow[] }) {
  const box = useRef<HTMLUListElement>(null)
  const rowPx = ROW_REM * Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => rowPx,
    overscan: 8,
    scrollMargin: box.current?.offsetTop ?? 0
  })
  return (
    <section className="card" style={{ paddingBlock: 0 }}>
      <ul
        ref={box}
        aria-label={words.t('devices')}
        style={{
          height: virtual.getTotalSize(),
          position: 'relative',
          margin: 0,
          padding: 0,
          listStyle: 'none'
        }}
      >
        {virtual.getVirtualItems().map(({ index, start, size }) => {
          const row = rows[index]
          if (row === undefined) return null
          return (
            <li
              key={`${row.agent} ${row.id}`}
              aria-setsize={rows.length}
              aria-posinset={index + 1}
              style={{
                position: 'absolute',
                insetInline: 0,
                top: 0,
                height: size,
                borderBlockEnd: '1px solid var(--artel-line)',
                transform: `translateY(${start - virtual.options.scrollMargin}px)`
              }}
            >
              <Row row={row} words={words} open={open} />
            </li>
          )
        })}
      </ul>
    </section>
  )
}

function Row({ row, words, open }: { row: DeviceRow; words: Words; open: FleetProps['open'] }) {
  const { t, time, reading } = words
  const units = row.about?.readings ?? {}
  const values = Object.entries(row.readings)
    .slice(0, SHOWN)
    .map(([name, value]) => `${name} ${reading(value, units[name]?.unit)}`)
  const heardAt = Math.max(row.readAt ?? 0, row.eventAt ?? 0)
  return (
    <UnstyledButton w="100%" h="100%" onClick={() => open(row)}>
      <Text fw={600} truncate>
        {nameOf(row)}
      </Text>
      <Text size="xs" c="dimmed" className="num" truncate>
        {[heardAt === 0 ? t('never') : time(heardAt), ...values].join(' · ')}
      </Text>
    </UnstyledButton>
  )
}
