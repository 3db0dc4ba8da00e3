import { NativeSelect, NumberInput } from '@mantine/core'
import { useState } from 'react'
import type { RuleRow, Severity } from './api.ts'
import { Field, LineForm } from './line-form.tsx'
import type { Words } from './words.ts'

const CONDITIONS = ['above', 'below', 'absent', 'event'] as const
type Condition = (typeof CONDITIONS)[number]
const SEVERITIES: readonly Severity[] = ['info', 'warning', 'critical']

interface RuleFormProps {
  words: Words
  /** whether it was taken */
  save(rule: Partial<RuleRow> & { name: string }): Promise<boolean>
}

export function RuleForm({ words, save }: RuleFormProps) {
  const { t, word } = words
  const [name, setName] = useState('')
  const [devices, setDevices] = useState('*')
  const [when, setWhen] = useState<Condition>('above')
  const [text, setText] = useState('')
  const [count, setCount] = useState<number | string>('')
  const [lasting, setLasting] = useState<number | string>(0)
  const [severity, setSeverity] = useState<Severity>('warning')
  const [minutes, setMinutes] = useState<number | string>('')
  const isValue = when === 'above' || when === 'below'

  function condition(): Partial<RuleRow> {
    if (when === 'absent') return { absentSeconds: Number(count) }
    if (when === 'event') return { event: text }
    return { reading: text, [when]: Number(count), forSeconds: Number(lasting) }
  }

  return (
    <LineForm
      label={t('newRule')}
      button={t('save')}
      isMain
      save={() =>
        save({
          name,
          devices,
          severity,
          ...condition(),
          ...(minutes === '' ? {} : { escalateMinutes: Number(minutes) })
        })
      }
      onSaved={() => setName('')}
    >
      <Field label={t('name')} value={name} set={setName} />
      <Field label={t('which')} value={devices} set={setDevices} />
      <NativeSelect
        label={t('when')}
        value={when}
        onChange={({ currentTarget }) => setWhen(currentTarget.value as Condition)}
        data={CONDITIONS.map(value => ({ value, label: word('when', value) }))}
      />
      {when !== 'absent' && (
        <Field label={isValue ? t('reading') : t('eventKind')} value={text} set={setText} />
      )}
      {when !== 'event' && (
        <NumberInput
          label={isValue ? t('limit') : t('secondsSilent')}
          required
          value={count}
          onChange={setCount}
          w="8rem"
        />
      )}
      {isValue && <NumberInput label={t('lasting')} min={0} value={lasting} onChange={setLasting} w="8rem" />}
      <NativeSelect
        label={t('severity')}
        value={severity}
        onChange={({ currentTarget }) => setSeverity(currentTarget.value as Severity)}
        data={SEVERITIES.map(value => ({ value, label: word('severity', value) }))}
      />
      <NumberInput label={t('escalateAfter')} min={1} value={minutes} onChange={setMinutes} w="14rem" />
    </LineForm>
  )
}
