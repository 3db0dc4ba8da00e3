import { useMemo, useState } from 'react'
import { Frame } from '../../host/page/frame.tsx'
import { createApi, type PageProps } from './api.ts'
import { Costs } from './costs.tsx'
import { Overview } from './overview.tsx'
import { Users } from './users.tsx'
import { createWords } from './words.ts'

const PARTS = { overview: Overview, users: Users, costs: Costs } as const
const NAMES = Object.keys(PARTS) as (keyof typeof PARTS)[]

export default function AssistantPage({ language, request }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [failure, fail] = useState<Error>()
  return (
    <Frame
      lead={t('lead')}
      failure={failure && t('failed', { reason: failure.message })}
      dismiss={() => fail(undefined)}
      close={t('close')}
      tabs={NAMES.map(name => {
        const Part = PARTS[name]
        return { name, title: t(name), content: <Part api={api} words={words} fail={fail} /> }
      })}
    />
  )
}
