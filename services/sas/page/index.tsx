import { useMemo, useState } from 'react'
import { Frame } from '../../host/page/frame.tsx'
import { createApi, type PageProps } from './api.ts'
import { Machines } from './machines.tsx'
import { Orders } from './orders.tsx'
import { Reconciliation } from './reconciliation.tsx'
import { Sets } from './sets.tsx'
import { createWords } from './words.ts'

export default function SasPage({ language, request }: PageProps) {
  const words = useMemo(() => createWords(language), [language])
  const { t } = words
  const api = useMemo(() => createApi(request), [request])
  const [failure, fail] = useState<Error>()
  const part = { api, words, fail }
  return (
    <Frame
      lead={t('lead')}
      failure={failure && t('failed', { what: t('machines'), reason: failure.message })}
      dismiss={() => fail(undefined)}
      close={t('close')}
      tabs={[
        { name: 'machines', title: t('machines'), content: <Machines {...part} /> },
        { name: 'sets', title: t('sets'), content: <Sets {...part} /> },
        { name: 'orders', title: t('orders'), content: <Orders {...part} /> },
        { name: 'reconciliation', title: t('reconciliation'), content: <Reconciliation {...part} /> }
      ]}
    />
  )
}
