import { Badge, Button, Group, Text, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { Download } from 'lucide-react'
import { useCallback, useState } from 'react'
import { Row, Rows } from '../../host/page/rows.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import type { Fields } from './api.ts'
import type { PartProps } from './part.ts'
import { RuleSelect } from './rule-select.tsx'

const TYPING_MS = 250
const SHOWN = 100
const URL_MS = 10_000

export const asText = (fields: Fields): string =>
  Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}`)
    .join(' · ')

/** Items by words. */
export function Items({ api, words, listen, fail, rules }: PartProps) {
  const { t, time } = words
  const [typed, setTyped] = useState('')
  const [q] = useDebouncedValue(typed.trim(), TYPING_MS)
  const [rule, setRule] = useState('')
  const { value } = useLoaded(
    useCallback(() => api.items(q, rule, SHOWN), [api, q, rule]),
    { listen, topic: 'watch:changed', fail }
  )

  async function save(): Promise<void> {
    const url = URL.createObjectURL(await api.csv(q, rule))
    const link = document.createElement('a')
    link.href = url
    link.download = 'items.csv'
    link.click()
    // after the browser took it
    window.setTimeout(() => URL.revokeObjectURL(url), URL_MS)
  }

  return (
    <section className="card" aria-label={t('items')}>
      <Group align="flex-end" gap="sm" mb="sm">
        <TextInput
          label={t('search')}
          value={typed}
          onChange={({ currentTarget }) => setTyped(currentTarget.value)}
          style={{ flex: '1 1 14rem' }}
        />
        <RuleSelect words={words} rules={rules} value={rule} onChange={setRule} />
        <Button
          variant="default"
          leftSection={<Download size={16} aria-hidden />}
          onClick={() => void save().catch(fail)}
        >
          {t('csv')}
        </Button>
      </Group>
      {value != null && (
        <Rows label={t('items')} empty={t(q === '' ? 'noItems' : 'nothingFound')}>
          {value.items.map(item => (
            <Row
              key={`${item.rule} ${item.key}`}
              title={item.key}
              detail={`${asText(item.fields)} · ${t('seenSince', { time: time(item.first) })}`}
            >
              {item.isGone ? (
                <Badge variant="dot" color="gray" tt="none">
                  {t('gone')}
                </Badge>
              ) : null}
            </Row>
          ))}
        </Rows>
      )}
      {value?.items.length === SHOWN && (
        <Text size="sm" mt="sm">
          {t('most', { n: SHOWN })}
        </Text>
      )}
    </section>
  )
}
