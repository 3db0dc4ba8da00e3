import { Skeleton } from '@mantine/core'
import { lazy, Suspense } from 'react'
import type { ChartProps } from './chart.tsx'

const Chart = lazy(() => import('./chart.tsx'))

export function LazyChart(props: ChartProps) {
  return (
    <Suspense fallback={<Skeleton height={props.height ?? 180} />}>
      <Chart {...props} />
    </Suspense>
  )
}
