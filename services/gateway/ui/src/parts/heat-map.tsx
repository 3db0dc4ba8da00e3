import { Group, Text } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { useEffect, useMemo, useRef, useState } from 'react'
import type { Slices } from '../api/wire.ts'
import { shortId } from '../format.ts'
import { useTexts } from '../i18n/i18n.tsx'
import { type Cell, cellsOf } from './heat-cells.ts'

/** px where text has 16 */
const CELL = 13
const GAP = 3
const FEW = 120

/** Who did what: one square per slice or group of slices. The table of workers says the same in words. */
export function HeatMap({
  slices,
  total,
  colors
}: {
  slices: Slices
  total: number
  colors: ReadonlyMap<string, string>
}) {
  const { t, format } = useTexts()
  const { ref, width } = useElementSize()
  const canvas = useRef<HTMLCanvasElement>(null)
  const [hovered, setHovered] = useState<Cell>()
  const cells = useMemo(() => cellsOf(slices, total), [slices, total])
  const scale = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16
  const size = scale * (cells.length < FEW ? CELL * 1.8 : CELL)
  const gap = scale * GAP
  const columns = Math.max(1, Math.floor((width + gap) / (size + gap)))
  const rows = Math.ceil(cells.length / columns)
  const height = rows * (size + gap) - gap
  const done = cells.filter(({ workers }) => workers.length > 0).length

  useEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (context == null || canvas.current == null || width === 0) return
    const density = window.devicePixelRatio
    canvas.current.width = width * density
    canvas.current.height = height * density
    context.scale(density, density)
    cells.forEach((cell, index) => {
      const x = (index % columns) * (size + gap)
      const y = Math.floor(index / columns) * (size + gap)
      draw(context, cell, { x, y, size }, colors)
    })
  }, [cells, columns, width, height, size, gap, colors])

  return (
    <div ref={ref}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={t('heat.label', { done, n: cells.length })}
        style={{ width: '100%', height, display: 'block' }}
        onMouseMove={({ nativeEvent: { offsetX, offsetY } }) =>
          setHovered(cells[Math.floor(offsetY / (size + gap)) * columns + Math.floor(offsetX / (size + gap))])
        }
        onMouseLeave={() => setHovered(undefined)}
      />
      <Group justify="space-between" mt="xs" mih="1.25rem" gap="xs">
        <Text size="xs" c="dimmed" className="num">
          {hovered == null ? t('heat.hint') : describe(hovered)}
        </Text>
      </Group>
    </div>
  )

  function describe({ first, count, workers, paid, open }: Cell): string {
    const units = t('heat.units', { first, last: first + count - 1 })
    if (workers.length > 0)
      return `${units} · ${workers.map(shortId).join(' + ')} · ${format.credits(paid.toString())}`
    return `${units} · ${open == null ? t('heat.waiting') : t('heat.open', { worker: shortId(open) })}`
  }
}

/** A replicated cell has the colours of its workers one above the other. */
function draw(
  context: CanvasRenderingContext2D,
  { workers, open }: Cell,
  { x, y, size }: { x: number; y: number; size: number },
  colors: ReadonlyMap<string, string>
): void {
  context.save()
  context.beginPath()
  context.roundRect(x, y, size, size, size / 4)
  context.clip()
  const grey = '#8a95a333'
  if (workers.length === 0) {
    context.globalAlpha = open == null ? 1 : 0.35
    context.fillStyle = open == null ? grey : (colors.get(open) ?? grey)
    context.fillRect(x, y, size, size)
  }
  workers.forEach((worker, index) => {
    context.fillStyle = colors.get(worker) ?? grey
    context.fillRect(x, y + (index * size) / workers.length, size, size / workers.length)
  })
  context.restore()
}
