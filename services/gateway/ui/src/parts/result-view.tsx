import { Box, Button, Group, SegmentedControl, Table, Text } from '@mantine/core'
import { Download } from 'lucide-react'
import { useEffect, useMemo, useRef, useState } from 'react'
import { useTexts } from '../i18n/i18n.tsx'
import { LazyChart } from './lazy-chart.tsx'
import { type Picture, type Rows, type Views, viewsOf } from './result-shape.ts'

/** Longer JSON is cut here and whole in the file. */
const MAX_JSON_CHARS = 100_000
const MAX_CELL_CHARS = 200

type View = 'picture' | 'chart' | 'table' | 'single' | 'json'

/** A result as what it is: picture, chart, table, figure; as JSON always. */
export function ResultView({ value, name }: { value: unknown; name: string }) {
  const { t, format } = useTexts()
  const views = useMemo(() => viewsOf(value), [value])
  const there = viewNames(views)
  const [chosen, setChosen] = useState<View>()
  const view = chosen != null && there.includes(chosen) ? chosen : there[0]!
  return (
    <div>
      <Group justify="space-between" mb="sm">
        {there.length > 1 ? (
          <SegmentedControl
            size="xs"
            value={view}
            onChange={setChosen}
            data={there.map(each => ({ value: each, label: t(`result.${each}`) }))}
            aria-label={t('result.view')}
          />
        ) : (
          <span />
        )}
        <Button
          size="xs"
          variant="default"
          leftSection={<Download size={14} aria-hidden />}
          onClick={() => download(`${name}.json`, JSON.stringify(value, null, 2) ?? 'null')}
        >
          {t('result.download')}
        </Button>
      </Group>
      {view === 'single' && (
        <Text fz="1.75rem" fw={650} className="num" style={{ overflowWrap: 'anywhere' }}>
          {typeof value === 'number' ? format.number(value, 20) : views.single}
        </Text>
      )}
      {view === 'picture' &&
        (views.image == null ? (
          <Canvas picture={views.picture!} />
        ) : (
          <img src={views.image} alt={t('result.pictureLabel')} className="picture" />
        ))}
      {view === 'chart' && (
        <LazyChart
          label={t('result.chartLabel', { n: views.lines!.data[0]!.length })}
          data={views.lines!.data}
          names={views.lines!.names}
          format={value => format.number(value, 4)}
          height={260}
        />
      )}
      {view === 'table' && <ResultTable {...views.rows!} />}
      {view === 'json' && <Json value={value} />}
    </div>
  )
}

function viewNames({ image, picture, lines, rows, single }: Views): View[] {
  const names: View[] = []
  if (image != null || picture != null) names.push('picture')
  if (lines != null) names.push('chart')
  if (rows != null) names.push('table')
  if (single != null) names.push('single')
  return [...names, 'json']
}

function Canvas({ picture: { width, height, pixels } }: { picture: Picture }) {
  const { t } = useTexts()
  const ref = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    ref.current?.getContext('2d')?.putImageData(new ImageData(pixels, width, height), 0, 0)
  }, [pixels, width, height])
  return (
    <canvas
      ref={ref}
      width={width}
      height={height}
      className="picture"
      role="img"
      aria-label={`${t('result.pictureLabel')}, ${width} × ${height}`}
    />
  )
}

function ResultTable({ columns, rows, total }: Rows) {
  const { t, format } = useTexts()
  const cell = (value: unknown): string => {
    if (typeof value === 'number') return format.number(value, 6)
    const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
    return text.length > MAX_CELL_CHARS ? `${text.slice(0, MAX_CELL_CHARS)}…` : text
  }
  return (
    // what scrolls must be reachable by keyboard
    <Box
      component="section"
      className="scroll-x"
      tabIndex={0}
      aria-label={t('result.table')}
      style={{ maxHeight: '28rem' }}
    >
      <Table
        striped
        stickyHeader
        tabularNums
        horizontalSpacing="sm"
        data={{
          head: columns.map(name => (name === 'key' || name === 'value' ? t(`result.${name}`) : name)),
          body: rows.map(row => columns.map((_, at) => cell(row[at])))
        }}
      />
      {total > rows.length && (
        <Text size="sm" c="dimmed" p="xs">
          {t('result.more', { shown: rows.length, n: total })}
        </Text>
      )}
    </Box>
  )
}

function Json({ value }: { value: unknown }) {
  const { t } = useTexts()
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? 'null', [value])
  return (
    <>
      <Code text={text.slice(0, MAX_JSON_CHARS)} label="JSON" />
      {text.length > MAX_JSON_CHARS && (
        <Text size="sm" c="dimmed" mt="xs">
          {t('result.cut')}
        </Text>
      )}
    </>
  )
}

export function Code({ text, label }: { text: string; label: string }) {
  return (
    <Box
      component="pre"
      className="code"
      tabIndex={0}
      aria-label={label}
      role="region"
      style={{ maxHeight: '26rem' }}
    >
      {text}
    </Box>
  )
}

export function download(name: string, content: BlobPart, type = 'application/json'): void {
  const url = URL.createObjectURL(new Blob([content], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // after the browser took it
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
