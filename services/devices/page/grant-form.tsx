import { NativeSelect, NumberInput } from '@mantine/core'
import { useState } from 'react'
import type { GrantRow } from './api.ts'
import { Field, LineForm } from './line-form.tsx'
import type { Words } from './words.ts'

const RISKS = ['0', '1', '2', '3'] as const

interface GrantFormProps {
  words: Words
  /** whether it was taken */
  save(grant: GrantRow): Promise<boolean>
}

export function GrantForm({ words, save }: GrantFormProps) {
  const { t, word } = words
  const [peer, setPeer] = useState('')
  const [devices, setDevices] = useState('*')
  const [commands, setCommands] = useState('*')
  const [risk, setRisk] = useState('1')
  const [perDay, setPerDay] = useState<number | string>('')
  return (
    <LineForm
      label={t('newGrant')}
      button={t('grant')}
      save={() =>
        save({
          peer: peer.trim(),
          devices,
          commands: commands.split(/[\s,]+/).filter(Boolean),
          risk: Number(risk) as GrantRow['risk'],
          ...(perDay === '' ? {} : { perDay: Number(perDay) })
        })
      }
      onSaved={() => setPeer('')}
    >
      <Field label={t('peer')} value={peer} set={setPeer} />
      <Field label={t('whichOrGroup')} value={devices} set={setDevices} />
      <Field label={t('commandNames')} value={commands} set={setCommands} />
      <NativeSelect
        label={t('risk')}
        value={risk}
        onChange={({ currentTarget }) => setRisk(currentTarget.value)}
        data={RISKS.map(value => ({ value, label: word('risk', value) }))}
      />
      <NumberInput label={t('perDay')} min={1} value={perDay} onChange={setPerDay} w="8rem" />
    </LineForm>
  )
}
