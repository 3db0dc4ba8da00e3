import { Badge, Button, Text, TextInput } from '@mantine/core'
import { useCallback, useState } from 'react'
import { Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { PaymentRow } from './api.ts'
import { EVERY_MS, type PartProps } from './part.ts'

const COLORS: Readonly<Record<string, string>> = { done: 'teal', failed: 'gray', open: 'blue' }

/** What moved money; a person says how one ended that no machine can tell. */
export function Orders({ api, words, fail }: PartProps) {
  const { t, time, word } = words
  const { value, reload } = useLoaded(
    useCallback(() => api.payments(), [api]),
    { fail, everyMs: EVERY_MS }
  )
  return (
    <section className="card" aria-label={t('orders')}>
      <Text size="sm" c="dimmed" mb="xs">
        {t('moneyText')}
      </Text>
      {value !== undefined && (
        <Rows label={t('orders')} empty={t('noOrders')}>
          {value.items.map(each => (
            <Row
              key={each.id}
              title={t('order', { ...each, does: word('does', each.does) })}
              detail={[time(each.at), ...(each.why === undefined ? [] : [each.why])].join(' · ')}
            >
              <Badge variant="dot" tt="none" color={COLORS[each.is] ?? 'orange'}>
                {word('is', each.is)}
              </Badge>
              {each.is === 'unknown' && (
                <Decide
                  machine={each.machine}
                  words={words}
                  decide={(is, why) => void api.decide(each.id, is, why).then(reload, fail)}
                />
              )}
            </Row>
          ))}
        </Rows>
      )}
    </section>
  )
}

interface DecideProps extends Pick<PartProps, 'words'>, Pick<PaymentRow, 'machine'> {
  decide(is: 'done' | 'failed', why: string): void
}

function Decide({ machine, words: { t }, decide }: DecideProps) {
  const [why, setWhy] = useState('')
  return (
    <>
      <TextInput
        label={t('decideWhy', { machine })}
        value={why}
        onChange={({ currentTarget }) => setWhy(currentTarget.value)}
      />
      {(['done', 'failed'] as const).map(is => (
        <Button key={is} size="xs" variant="default" disabled={why === ''} onClick={() => decide(is, why)}>
          {t(is === 'done' ? 'decideDone' : 'decideFailed')}
        </Button>
      ))}
    </>
  )
}
