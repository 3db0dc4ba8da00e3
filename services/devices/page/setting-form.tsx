import { useState } from 'react'
import type { SettingRow } from './api.ts'
import { Field, LineForm } from './line-form.tsx'
import type { Words } from './words.ts'

interface SettingFormProps {
  words: Words
  /** whether it was taken */
  save(setting: SettingRow): Promise<boolean>
}

export function SettingForm({ words, save }: SettingFormProps) {
  const { t } = words
  const [devices, setDevices] = useState('*')
  const [name, setName] = useState('')
  const [value, setValue] = useState('')
  return (
    <LineForm
      label={t('newSetting')}
      button={t('set')}
      save={() => save({ devices, values: { [name.trim()]: typedValue(value) } })}
      onSaved={() => setName('')}
    >
      <Field label={t('whichOrGroup')} value={devices} set={setDevices} />
      <Field label={t('settingName')} value={name} set={setName} />
      <Field label={t('value')} value={value} set={setValue} />
    </LineForm>
  )
}

/** As it was typed: a number, yes or no, else a text. Pure. */
function typedValue(typed: string): number | string | boolean {
  const text = typed.trim()
  if (text === 'true' || text === 'false') return text === 'true'
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : typed
}
