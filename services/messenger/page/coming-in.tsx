import { Button, Text, Textarea } from '@mantine/core'
import { useState } from 'react'
import { Digits } from './begin.tsx'
import type { PartProps } from './part.ts'
import type { Status } from './wire.ts'

/** Of who has his home here and is not in the school yet: an invitation lets him in, or another device of his. */
export function ComingIn({
  api,
  words: { t },
  fail,
  pairing,
  changed
}: Pick<PartProps, 'api' | 'words' | 'fail'> & { pairing: Status['pairing']; changed(): void }) {
  const [code, setCode] = useState('')
  const [isBusy, setIsBusy] = useState(false)
  async function join(): Promise<void> {
    setIsBusy(true)
    await api.joinHome(code.trim()).then(changed, fail)
    setIsBusy(false)
  }
  return (
    <section className="card" aria-label={t('comingIn')}>
      <Text size="sm" mb="xs">
        {t('comingIn')}
      </Text>
      <form
        onSubmit={event => {
          event.preventDefault()
          void join()
        }}
      >
        <Textarea
          label={t('codeOfOther')}
          required
          autosize
          maxLength={2_000}
          value={code}
          onChange={({ currentTarget }) => setCode(currentTarget.value)}
        />
        <Button type="submit" mt="sm" variant="default" loading={isBusy}>
          {t('letIn')}
        </Button>
      </form>
      {pairing !== undefined && <Digits pairing={pairing} t={t} />}
    </section>
  )
}
