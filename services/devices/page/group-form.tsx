import { useState } from 'react'
import { Field, LineForm } from './line-form.tsx'
import type { Words } from './words.ts'

interface GroupFormProps {
  words: Words
  /** whether it was taken */
  save(name: string, devices: string[]): Promise<boolean>
}

export function GroupForm({ words, save }: GroupFormProps) {
  const { t } = words
  const [name, setName] = useState('')
  const [devices, setDevices] = useState('')
  return (
    <LineForm
      label={t('newGroup')}
      button={t('save')}
      save={() => save(name.trim().replace(/^@/, ''), devices.split(/[\s,]+/).filter(Boolean))}
      onSaved={() => {
        setName('')
        setDevices('')
      }}
    >
      <Field label={t('name')} value={name} set={setName} />
      <Field label={t('groupDevices')} value={devices} set={setDevices} />
    </LineForm>
  )
}
