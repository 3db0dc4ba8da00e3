import { type ComponentType, lazy, Suspense } from 'react'
import { request } from '../api/client.ts'
import { useLiveSource } from '../api/live.ts'
import { type Language, useTexts } from '../i18n/i18n.tsx'
import type { ChartProps } from './chart.tsx'
import { LazyChart } from './lazy-chart.tsx'
import { Loading } from './page.tsx'

/** What a page of a service gets; it has texts of its own, and imports nothing of the dashboard. */
export interface ServicePageProps {
  language: Language
  request(path: string, init?: RequestInit): Promise<Response>
  listen(listener: (event: { type: string } | undefined) => void): () => void
  Chart: ComponentType<ChartProps>
}

/** Services whose folder has another name. */
const NAMES: Readonly<Record<string, string>> = { watcher: 'watch' }
/** page/index.tsx of every service, loaded when it is opened. */
const PAGES = Object.entries(
  import.meta.glob<{ default: ComponentType<ServicePageProps> }>('../../../../*/page/index.tsx')
).map(([path, load]) => {
  const folder = path.split('/').at(-3)!
  return [NAMES[folder] ?? folder, lazy(load)] as const
})
const BY_NAME = new Map(PAGES)

export const hasPage = (name: string): boolean => BY_NAME.has(name)

export function ServicePage({ name }: { name: string }) {
  const { language } = useTexts()
  const live = useLiveSource()
  const Page = BY_NAME.get(name)
  if (Page == null) return null
  return (
    <Suspense fallback={<Loading />}>
      <Page language={language} request={request} listen={live.listen} Chart={LazyChart} />
    </Suspense>
  )
}
