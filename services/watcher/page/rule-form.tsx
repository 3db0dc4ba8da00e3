import { Button, Checkbox, Group, NativeSelect, NumberInput, Text, Textarea, TextInput } from '@mantine/core'
import { Plus } from 'lucide-react'
import { RemoveButton } from '../../host/page/rows.tsx'
import { type Rule, type Selector, WAYS, type Way } from './api.ts'
import type { Words } from './words.ts'

interface RuleFormProps {
  rule: Rule
  words: Words
  change(rule: Rule): void
}

const wayOf = (selector: Selector): Way => WAYS.find(way => selector[way] != null) ?? 'css'

/** The same selector by another way, or with another text. */
function selecting(selector: Selector, way: Way, text: string): Selector {
  const { css: _, xpath: __, path: ___, regex: ____, ...more } = selector
  return { ...more, [way]: text }
}

/** The fields that most rules need; others stay as they are. */
export function RuleForm({ rule, words, change }: RuleFormProps) {
  const { t } = words
  const { extract } = rule
  const fields = Object.entries(extract.fields)
  const setFields = (entries: [string, Selector][], key = rule.key): void =>
    change({ ...rule, key, extract: { ...extract, fields: Object.fromEntries(entries) } })
  const setField = (at: number, name: string, selector: Selector): void =>
    setFields(
      fields.map((entry, i) => (i === at ? [name, selector] : entry)),
      rule.key.map(key => (key === fields[at]![0] ? name : key))
    )

  return (
    <>
      <TextInput
        label={t('name')}
        required
        value={rule.name}
        onChange={({ currentTarget }) => change({ ...rule, name: currentTarget.value })}
      />
      <Textarea
        label={t('urls')}
        required
        autosize
        value={rule.urls.join('\n')}
        onChange={({ currentTarget }) => change({ ...rule, urls: currentTarget.value.split('\n') })}
      />
      <Group gap="sm" align="flex-end">
        <NumberInput
          label={t('pages')}
          min={1}
          max={50}
          value={rule.pages ?? 1}
          onChange={pages => change({ ...rule, pages: Number(pages) || 1 })}
          w="7rem"
        />
        <TextInput
          label={t('schedule')}
          value={rule.schedule ?? ''}
          onChange={({ currentTarget }) => change({ ...rule, schedule: currentTarget.value })}
          style={{ flex: '1 1 10rem' }}
        />
        <TextInput
          label={t('timeZone')}
          value={rule.timeZone ?? ''}
          onChange={({ currentTarget }) => change({ ...rule, timeZone: currentTarget.value })}
          style={{ flex: '1 1 10rem' }}
        />
      </Group>
      <fieldset style={{ border: 0, margin: 0, padding: 0 }}>
        <Text component="legend" fw={600} size="sm" p={0}>
          {t('rows')}
        </Text>
        <Group gap="sm" align="flex-end">
          <SelectorFields
            selector={extract.rows}
            words={words}
            change={rows => change({ ...rule, extract: { ...extract, rows } })}
          />
        </Group>
      </fieldset>
      {fields.map(([name, selector], at) => (
        // by its place: the name is what is being written
        <fieldset key={at} style={{ border: 0, margin: 0, padding: 0 }}>
          <Text component="legend" fw={600} size="sm" p={0}>
            {t('field')}: {name}
          </Text>
          <Group gap="sm" align="flex-end">
            <TextInput
              label={t('field')}
              required
              value={name}
              onChange={({ currentTarget }) => setField(at, currentTarget.value, selector)}
              style={{ flex: '1 1 7rem' }}
            />
            <SelectorFields
              selector={selector}
              words={words}
              change={selector => setField(at, name, selector)}
            />
            <TextInput
              label={t('attribute')}
              value={selector.attribute ?? ''}
              onChange={({ currentTarget: { value } }) => {
                const { attribute: _, ...others } = selector
                setField(at, name, value === '' ? others : { ...others, attribute: value })
              }}
              w="7rem"
            />
            <Checkbox
              label={t('isKey')}
              checked={rule.key.includes(name)}
              onChange={({ currentTarget }) =>
                change({
                  ...rule,
                  key: currentTarget.checked ? [...rule.key, name] : rule.key.filter(other => other !== name)
                })
              }
              mb={8}
            />
            <RemoveButton
              label={t('removeField', { name })}
              onClick={() =>
                setFields(
                  fields.filter((_, i) => i !== at),
                  rule.key.filter(other => other !== name)
                )
              }
            />
          </Group>
        </fieldset>
      ))}
      <div>
        <Button
          size="xs"
          variant="default"
          leftSection={<Plus size={16} aria-hidden />}
          onClick={() => setFields([...fields, [freeName(extract.fields), { css: '' }]])}
        >
          {t('addField')}
        </Button>
      </div>
    </>
  )
}

function freeName(fields: Rule['extract']['fields']): string {
  let at = Object.keys(fields).length + 1
  while (Object.hasOwn(fields, `field${at}`)) at++
  return `field${at}`
}

interface SelectorProps {
  selector: Selector
  words: Words
  change(selector: Selector): void
}

function SelectorFields({ selector, words: { t }, change }: SelectorProps) {
  const way = wayOf(selector)
  const text = selector[way] ?? ''
  return (
    <>
      <NativeSelect
        label={t('way')}
        value={way}
        onChange={({ currentTarget }) => change(selecting(selector, currentTarget.value as Way, text))}
        data={WAYS.map(value => ({ value, label: t(`way_${value}`) }))}
        w="7.5rem"
      />
      <TextInput
        label={t('selector')}
        required
        value={text}
        onChange={({ currentTarget }) => change(selecting(selector, way, currentTarget.value))}
        style={{ flex: '2 1 12rem' }}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      />
    </>
  )
}
