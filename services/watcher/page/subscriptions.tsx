import { Text, Title } from '@mantine/core'
import { useCallback } from 'react'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import { CONDITIONS, type Subscription } from './api.ts'
import type { PartProps } from './part.ts'
import { SubscriptionForm } from './subscription-form.tsx'

function placeOf(channel: Subscription['channel']): string {
  if (channel.kind === 'email') return channel.to
  return channel.kind === 'webhook' ? channel.url : channel.chat
}

/** Who is told of what. */
export function Subscriptions({ api, words, listen, fail, rules }: PartProps) {
  const { t, word } = words
  const { value, reload } = useLoaded(
    useCallback(() => api.subscriptions(), [api]),
    { listen, topic: 'watch:changed', fail }
  )
  if (value == null) return null

  async function act(work: Promise<unknown>): Promise<boolean> {
    const isDone = await work.then(
      () => true,
      (error: Error) => {
        fail(error)
        return false
      }
    )
    await reload()
    return isDone
  }
  const conditionOf = (when: NonNullable<Subscription['when']>): string =>
    CONDITIONS.flatMap(condition =>
      when[condition] == null ? [] : `${when.field} ${word('condition', condition)} ${when[condition]}`
    ).join(', ')
  const detailOf = ({ rule, query, when, kinds, channel, digest }: Subscription): string =>
    [
      rule ?? t('allRules'),
      query ?? t('everything'),
      ...(when == null ? [] : [conditionOf(when)]),
      kinds.map(kind => word('kind', kind)).join(', '),
      placeOf(channel),
      digest ?? t('atOnce')
    ].join(' · ')
  const messages = Object.entries(value.messages).map(([state, n]) =>
    word('message', state).replace('{n}', String(n))
  )

  return (
    <section className="card" aria-label={t('subscriptions')}>
      <Rows label={t('subscriptions')} empty={t('noSubscriptions')}>
        {value.items.map(({ id, subscription }) => (
          <Row key={id} title={subscription.name} detail={detailOf(subscription)}>
            <RemoveButton
              label={t('removeSubscription', { name: subscription.name })}
              onClick={() => void act(api.unsubscribe(id))}
            />
          </Row>
        ))}
      </Rows>
      {messages.length > 0 && (
        <Text size="sm" c="dimmed" mt="xs">
          {t('messages', { list: messages.join(', ') })}
        </Text>
      )}
      <Title order={2} size="h5" mt="md" mb="xs">
        {t('newSubscription')}
      </Title>
      <SubscriptionForm
        words={words}
        rules={rules}
        save={(id, subscription) => act(api.subscribe(id, subscription))}
      />
    </section>
  )
}
