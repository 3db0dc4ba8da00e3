import { Badge, Button } from '@mantine/core'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import type { RuleRow } from './api.ts'
import type { PartProps } from './part.ts'
import { RuleEditor } from './rule-editor.tsx'

const COLOURS: Readonly<Record<string, string>> = { ok: 'teal', failed: 'orange', broken: 'red' }

/** Rules with how they do; one is written beside what it would find. */
export function Rules(part: PartProps) {
  const { api, words, fail, rules, reloadRules } = part
  const { t, number, time, word } = words
  // '': a new one
  const [opened, setOpened] = useState<string>()
  const [question, setQuestion] = useState<Question>()
  const [looking, setLooking] = useState<string>()
  if (rules == null) return null
  if (opened != null)
    return (
      <RuleEditor
        {...part}
        row={rules.find(({ id }) => id === opened)}
        open={setOpened}
        close={() => setOpened(undefined)}
      />
    )

  async function run(id: string): Promise<void> {
    setLooking(id)
    await api.run(id).then(reloadRules, fail)
    setLooking(undefined)
  }
  const detailOf = ({ last, isPaused, dueAt, rule }: RuleRow): string =>
    [
      last == null
        ? t('never')
        : t('looked', { items: number(last.items), changes: number(last.changes), time: time(last.at) }),
      ...(last?.reason == null ? [] : [last.reason]),
      isPaused ? t('paused') : `${rule.schedule ?? ''}, ${t('next', { time: time(dueAt) })}`
    ].join(' · ')

  return (
    <section className="card" aria-label={t('rules')}>
      <Rows label={t('rules')} empty={t('noRules')}>
        {rules.map(row => (
          <Row key={row.id} title={row.rule.name} detail={`${row.id} · ${detailOf(row)}`}>
            {row.last != null && (
              <Badge variant="dot" tt="none" color={COLOURS[row.last.state] ?? 'gray'}>
                {word('state', row.last.state)}
              </Badge>
            )}
            <Button
              size="xs"
              variant="default"
              loading={looking === row.id}
              aria-label={t('runOf', { name: row.rule.name })}
              onClick={() => void run(row.id)}
            >
              {t('run')}
            </Button>
            <Button
              size="xs"
              variant="default"
              aria-label={t('editOf', { name: row.rule.name })}
              onClick={() => setOpened(row.id)}
            >
              {t('edit')}
            </Button>
            <RemoveButton
              label={t('removeOf', { name: row.rule.name })}
              onClick={() =>
                setQuestion({
                  title: t('removeTitle', { name: row.rule.name }),
                  text: t('removeText'),
                  yes: t('yes'),
                  run: () => void api.removeRule(row.id).then(reloadRules, fail)
                })
              }
            />
          </Row>
        ))}
      </Rows>
      <Button mt="sm" leftSection={<Plus size={16} aria-hidden />} onClick={() => setOpened('')}>
        {t('newRule')}
      </Button>
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('no') }}
      />
    </section>
  )
}
