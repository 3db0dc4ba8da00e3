import { useCallback, useMemo, useState } from 'react'
import { Frame } from '../../host/page/frame.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import { createApi, type PageProps } from './api.ts'
import { Events } from './events.tsx'
import { Items } from './items.tsx'
import { Rules } from './rules.tsx'
import { Subscriptions } from './subscriptions.tsx'
import { createWords } from './words.ts'

const PARTS = { items: Items, events: Events, rules: Rules, subscriptions: Subscriptions } as const
const NAMES = Object.keys(PARTS) as (keyof typeof PARTS)[]

export default function WatchPage({ language, request, listen }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [failure, fail] = useState<Error>()
  const { value, reload } = useLoaded(
    useCallback(() => api.rules(), [api]),
    { listen, topic: 'watch:changed', fail }
  )
  const part = { api, words, listen, fail, rules: value?.items, reloadRules: reload }
  return (
    <Frame
      lead={t('lead')}
      failure={failure && t('failed', { reason: failure.message })}
      dismiss={() => fail(undefined)}
      close={t('close')}
      tabs={NAMES.map(name => {
        const Part = PARTS[name]
        return { name, title: t(name), content: <Part {...part} /> }
      })}
    />
  )
}
