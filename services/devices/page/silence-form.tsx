import { NumberInput } from '@mantine/core'
import { useState } from 'react'
import { Field, LineForm } from './line-form.tsx'
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
    <LineForm
      label={t('silence')}
      button={t('silence')}
      save={() => save(devices, Number(minutes), why)}
      onSaved={() => setWhy('')}
    >
      <Field label={t('which')} value={devices} set={setDevices} />
      <NumberInput label={t('minutes')} required min={1} value={minutes} onChange={setMinutes} w="8rem" />
      <Field label={t('why')} value={why} set={setWhy} />
    </LineForm>
  )
}
