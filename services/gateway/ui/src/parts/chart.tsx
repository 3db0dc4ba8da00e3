import 'uplot/dist/uPlot.min.css'
import { useComputedColorScheme } from '@mantine/core'
import { useElementSize, useMergedRef } from '@mantine/hooks'
import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import { useTexts } from '../i18n/i18n.tsx'
import { seriesColor } from '../theme.ts'

export interface ChartProps {
  /** what a screen reader says in place of the picture */
  label: string
  /** x, then one list per series; x in seconds since 1970 where `isTime` */
  data: (number | null)[][]
  names: string[]
  isTime?: boolean
  height?: number
  /** bounds of y that do not follow the data */
  range?: [number, number]
  /** the highest y at least */
  most?: number
  steps?: boolean
  /** counts: no ticks between them */
  isWhole?: boolean
  format: (value: number) => string
}

const WHOLE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
const INK = { light: { text: '#566070', grid: '#e3e8ed' }, dark: { text: '#a3adba', grid: '#2a323b' } }

/** A line chart. Loaded apart from the pages: uPlot is not needed for the first look. */
export default function Chart(props: ChartProps) {
  const {
    label,
    data,
    names,
    isTime = false,
    height: heightAt16 = 180,
    range,
    most = 0,
    steps = false,
    isWhole = false,
    format
  } = props
  const { format: texts } = useTexts()
  const scheme = useComputedColorScheme('light')
  const { ref, width } = useElementSize()
  // texts and heights grow with the page, which they do not by themselves on a canvas
  const px = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
  const height = (heightAt16 * px) / 16
  const box = useRef<HTMLDivElement>(null)
  const mergedRef = useMergedRef(ref, box)
  const plot = useRef<UPlot>(null)
  const now = useRef({ data, format })
  now.current = { data, format }
  const isWide = width > 0
  const shape = names.join('\n')

  useEffect(() => {
    if (!isWide || box.current == null) return
    const { text, grid } = INK[scheme]
    const font = `${Math.round(px * 0.72)}px ${getComputedStyle(document.body).fontFamily}`
    const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { show: false }, gap: 6 }
    const made = new UPlot(
      {
        width: box.current.clientWidth,
        height,
        scales: {
          x: { time: isTime },
          y: { range: (_, low, high) => range ?? niceRange(low, high, most) }
        },
        axes: [
          {
            ...axis,
            size: px * 1.8,
            space: px * 6,
            values: (_, ticks) => ticks.map(tick => (isTime ? texts.time(tick * 1000) : texts.number(tick)))
          },
          {
            ...axis,
            size: px * 3.4,
            incrs: isWhole ? WHOLE_STEPS : undefined,
            values: (_, ticks) => ticks.map(tick => now.current.format(tick))
          }
        ],
        series: [
          {
            label: '#',
            value: (_, x) => (x == null ? '' : isTime ? texts.time(x * 1000) : texts.number(x))
          },
          ...shape.split('\n').map((name, index) => ({
            label: name,
            stroke: seriesColor(index),
            width: 2,
            fill: index === 0 ? `${seriesColor(0)}22` : undefined,
            points: { show: false },
            paths: steps ? UPlot.paths.stepped?.({ align: 1 }) : undefined,
            value: (_: UPlot, y: number | null) => (y == null ? '' : now.current.format(y))
          }))
        ],
        legend: { show: shape.includes('\n') },
        cursor: { y: false }
      },
      now.current.data as UPlot.AlignedData,
      box.current
    )
    plot.current = made
    return () => {
      made.destroy()
      plot.current = null
    }
  }, [isWide, scheme, texts, px, height, isTime, steps, isWhole, shape, range, most])

  useEffect(() => {
    plot.current?.setData(data as UPlot.AlignedData)
  }, [data])
  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height })
  }, [width, height])

  return <div ref={mergedRef} role="img" aria-label={label} style={{ minHeight: height, width: '100%' }} />
}

/** From zero where that is near, with some air above. */
function niceRange(low: number | null, high: number | null, most: number): [number, number] {
  const bottom = low ?? 0
  const top = Math.max(high ?? 0, most)
  const span = top - bottom || Math.abs(top) || 1
  return [bottom >= 0 && bottom < span * 2 ? 0 : bottom - span * 0.1, top + span * 0.1]
}
