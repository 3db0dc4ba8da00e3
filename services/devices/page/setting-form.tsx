import { Button, Group, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { SettingRow } from './api.ts'
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
    <form
      aria-label={t('newSetting')}
      onSubmit={event => {
        event.preventDefault()
        void save({ devices, values: { [name.trim()]: typedValue(value) } }).then(isDone => {
          if (isDone) setName('')
        })
      }}
    >
      <Group align="flex-end" gap="sm" mt="sm">
        <TextInput
          label={t('which')}
          required
          value={devices}
          onChange={({ currentTarget }) => setDevices(currentTarget.value)}
        />
        <TextInput
          label={t('settingName')}
          required
          value={name}
          onChange={({ currentTarget }) => setName(currentTarget.value)}
        />
        <TextInput
          label={t('value')}
          required
          value={value}
          onChange={({ currentTarget }) => setValue(currentTarget.value)}
        />
        <Button type="submit" variant="default">
          {t('set')}
        </Button>
      </Group>
    </form>
  )
}

/** As it was typed: a number, yes or no, else a text. Pure. */
function typedValue(typed: string): number | string | boolean {
  const text = typed.trim()
  if (text === 'true' || text === 'false') return text === 'true'
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : typed
}
