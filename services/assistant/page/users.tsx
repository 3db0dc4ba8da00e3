import { Button, Group, Modal, TextInput } from '@mantine/core'
import { useCallback, useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { UserRow } from './api.ts'
import { type PartProps, REFRESH_MS } from './part.ts'
import { microOf } from './sums.ts'

/** Who asks, what he has spent, and what he may. */
export function Users({ api, words, fail }: PartProps) {
  const { t, credits, time } = words
  const { value, reload } = useLoaded(
    useCallback(() => api.users(), [api]),
    { fail, everyMs: REFRESH_MS }
  )
  const [limited, setLimited] = useState<UserRow>()
  const [question, setQuestion] = useState<Question>()
  const act = (work: Promise<unknown>): void => void work.catch(fail).then(reload)
  if (value == null) return null

  const detailOf = ({ quota, spent, held, seen }: UserRow): string =>
    [
      quota == null
        ? t('spentOnly', { spent: credits(spent) })
        : t('spentOf', { spent: credits(spent), quota: credits(quota) }),
      ...(held === '0' ? [] : [t('heldNow', { held: credits(held) })]),
      t('seen', { time: time(seen) })
    ].join(' · ')

  return (
    <section className="card" aria-label={t('users')}>
      <Rows label={t('users')} empty={t('noUsers')}>
        {value.items.map(user => (
          <Row key={user.id} title={user.name || user.id} detail={`${user.id} · ${detailOf(user)}`}>
            <Button
              size="xs"
              variant="default"
              aria-label={t('setQuotaOf', { name: user.name || user.id })}
              onClick={() => setLimited(user)}
            >
              {t('setQuota')}
            </Button>
            <RemoveButton
              label={t('forget', { name: user.name || user.id })}
              onClick={() =>
                setQuestion({
                  title: t('forgetTitle', { name: user.name || user.id }),
                  text: t('forgetText'),
                  yes: t('yes'),
                  run: () => act(api.forget(user.id))
                })
              }
            />
          </Row>
        ))}
      </Rows>
      {limited != null && (
        <QuotaModal
          user={limited}
          words={words}
          close={() => setLimited(undefined)}
          save={micro => {
            setLimited(undefined)
            act(api.setQuota(limited.id, micro))
          }}
        />
      )}
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('no') }}
      />
    </section>
  )
}

interface QuotaProps {
  user: UserRow
  words: PartProps['words']
  close(): void
  save(micro: bigint | undefined): void
}

function QuotaModal({ user, words: { t }, close, save }: QuotaProps) {
  const [text, setText] = useState(user.quota == null ? '' : String(Number(user.quota) / 1_000_000))
  const isEmpty = text.trim() === ''
  const micro = microOf(text)
  return (
    <Modal
      opened
      onClose={close}
      title={t('setQuotaOf', { name: user.name || user.id })}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <form
        onSubmit={event => {
          event.preventDefault()
          if (isEmpty || micro != null) save(micro)
        }}
      >
        <TextInput
          label={t('quotaLabel')}
          inputMode="decimal"
          value={text}
          onChange={({ currentTarget }) => setText(currentTarget.value)}
          error={isEmpty || micro != null ? undefined : t('noAmount')}
          data-autofocus
        />
        <Group mt="md" justify="flex-end">
          <Button variant="default" onClick={close}>
            {t('cancel')}
          </Button>
          <Button type="submit">{t('save')}</Button>
        </Group>
      </form>
    </Modal>
  )
}
