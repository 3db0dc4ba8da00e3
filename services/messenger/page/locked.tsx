import { Button, Group, Text, Textarea, Title } from '@mantine/core'
import { useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import type { PartProps } from './part.ts'

/** Of who has his home here and whose password was given anew: his code opens what he has, or he begins without it. */
export function Locked({
  api,
  words: { t },
  fail,
  changed
}: Pick<PartProps, 'api' | 'words' | 'fail'> & { changed(): void }) {
  const [code, setCode] = useState('')
  const [isBusy, setIsBusy] = useState(false)
  const [question, setQuestion] = useState<Question>()
  async function act(work: () => Promise<unknown>): Promise<void> {
    setIsBusy(true)
    await work().then(changed, fail)
    setIsBusy(false)
  }
  return (
    <section className="card" aria-label={t('locked')}>
      <Title order={2} size="h4">
        {t('locked')}
      </Title>
      <Text size="sm" mb="xs">
        {t('lockedText')}
      </Text>
      <form
        onSubmit={event => {
          event.preventDefault()
          void act(() => api.openHome(code.trim()))
        }}
      >
        <Textarea
          label={t('recovery')}
          required
          autosize
          maxLength={2_000}
          value={code}
          onChange={({ currentTarget }) => setCode(currentTarget.value)}
        />
        <Group mt="sm">
          <Button type="submit" loading={isBusy}>
            {t('openHome')}
          </Button>
          <Button
            variant="default"
            loading={isBusy}
            onClick={() =>
              setQuestion({
                title: t('beginAnew'),
                text: t('beginAnewText'),
                yes: t('beginAnew'),
                run: () => void act(api.beginAnew)
              })
            }
          >
            {t('beginAnew')}
          </Button>
        </Group>
      </form>
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('cancel') }}
      />
    </section>
  )
}
