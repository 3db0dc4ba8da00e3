import { Button, Checkbox, Group, SegmentedControl, Stack, Textarea, TextInput, Title } from '@mantine/core'
import { ArrowLeft } from 'lucide-react'
import { useMemo, useState } from 'react'
import type { Rule, RuleRow } from './api.ts'
import type { PartProps } from './part.ts'
import { RuleForm } from './rule-form.tsx'
import { RuleTest } from './rule-test.tsx'

const NEW: Rule = {
  name: '',
  urls: ['https://'],
  extract: { rows: { css: 'table tbody tr' }, fields: { number: { css: 'td:nth-child(1)' } } },
  key: ['number'],
  schedule: '*/30 * * * *',
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone
}

interface EditorProps extends PartProps {
  /** undefined: a new one */
  row: RuleRow | undefined
  open(id: string): void
  close(): void
}

/** A rule as form or JSON, beside what it finds. */
export function RuleEditor({ row, open, close, ...part }: EditorProps) {
  const { api, words, fail, reloadRules } = part
  const { t } = words
  const [id, setId] = useState(row?.id ?? '')
  const [rule, setRule] = useState<Rule>(row?.rule ?? NEW)
  const [isPaused, setIsPaused] = useState(row?.isPaused ?? true)
  // of JSON that is none yet; undefined: the form
  const [text, setText] = useState<string>()
  const problem = useMemo(() => (text == null ? undefined : problemOf(text)), [text])

  function write(json: string): void {
    setText(json)
    if (problemOf(json) == null) setRule(JSON.parse(json) as Rule)
  }
  async function save(): Promise<void> {
    await api.putRule(id, rule, isPaused)
    await reloadRules()
    open(id)
  }

  return (
    <Stack gap="md">
      <div>
        <Button variant="subtle" leftSection={<ArrowLeft size={16} aria-hidden />} onClick={close}>
          {t('back')}
        </Button>
      </div>
      <section className="card" aria-label={row?.rule.name ?? t('newRule')}>
        <Group justify="space-between" mb="sm">
          <Title order={2} size="h5">
            {row?.rule.name ?? t('newRule')}
          </Title>
          <SegmentedControl
            aria-label={t('rules')}
            value={text == null ? 'form' : 'json'}
            // what is no JSON cannot become a form
            disabled={problem != null}
            onChange={value => setText(value === 'json' ? JSON.stringify(rule, null, 2) : undefined)}
            data={(['form', 'json'] as const).map(value => ({ value, label: t(value) }))}
          />
        </Group>
        <form
          onSubmit={event => {
            event.preventDefault()
            void save().catch(fail)
          }}
        >
          <Stack gap="sm">
            {row == null && (
              <TextInput
                label={t('id')}
                required
                pattern="[a-z0-9][a-z0-9\-]{0,39}"
                value={id}
                onChange={({ currentTarget }) => setId(currentTarget.value)}
              />
            )}
            {text == null ? (
              <RuleForm rule={rule} words={words} change={setRule} />
            ) : (
              <Textarea
                label={t('rule')}
                autosize
                minRows={12}
                maxRows={30}
                spellCheck={false}
                value={text}
                onChange={({ currentTarget }) => write(currentTarget.value)}
                error={problem && t('badJson', { reason: problem })}
                styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
              />
            )}
            <Checkbox
              label={t('pausedField')}
              checked={isPaused}
              onChange={({ currentTarget }) => setIsPaused(currentTarget.checked)}
            />
            <div>
              <Button type="submit" disabled={problem != null}>
                {t('save')}
              </Button>
            </div>
          </Stack>
        </form>
      </section>
      <RuleTest rule={rule} id={row?.last == null ? undefined : row.id} api={api} words={words} />
    </Stack>
  )
}

/** Why a text cannot be a rule; what is missing in it the node says. */
function problemOf(text: string): string | undefined {
  try {
    const { extract } = JSON.parse(text) as Partial<Rule>
    return typeof extract?.rows === 'object' && typeof extract.fields === 'object'
      ? undefined
      : 'extract.rows, extract.fields'
  } catch (error) {
    return (error as Error).message
  }
}
