import { Button, Group, NumberInput, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { Words } from './words.ts'

const HOUR_MINUTES = 60

interface SilenceFormProps {
  words: Words
  /** whether it was taken */
  save(devices: string, minutes: number, why: string): Promise<boolean>
}

export function SilenceForm({ words, save }: SilenceFormProps) {
  const { t } = words
  const [devices, setDevices] = useState('*')
  const [minutes, setMinutes] = useState<number | string>(HOUR_MINUTES)
  const [why, setWhy] = useState('')
  return (
    <form
      aria-label={t('silence')}
      onSubmit={event => {
        event.preventDefault()
        void save(devices, Number(minutes), why).then(isDone => {
          if (isDone) setWhy('')
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
        <NumberInput label={t('minutes')} required min={1} value={minutes} onChange={setMinutes} w="8rem" />
        <TextInput
          label={t('why')}
          required
          value={why}
          onChange={({ currentTarget }) => setWhy(currentTarget.value)}
        />
        <Button type="submit" variant="default">
          {t('silence')}
        </Button>
      </Group>
    </form>
  )
}
