import { Button, Group, NativeSelect, NumberInput, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { GrantRow } from './api.ts'
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
    <form
      aria-label={t('newGrant')}
      onSubmit={event => {
        event.preventDefault()
        void save({
          peer: peer.trim(),
          devices,
          commands: commands.split(/[\s,]+/).filter(Boolean),
          risk: Number(risk) as GrantRow['risk'],
          ...(perDay === '' ? {} : { perDay: Number(perDay) })
        }).then(isDone => {
          if (isDone) setPeer('')
        })
      }}
    >
      <Group align="flex-end" gap="sm" mt="sm">
        <TextInput
          label={t('peer')}
          required
          value={peer}
          onChange={({ currentTarget }) => setPeer(currentTarget.value)}
        />
        <TextInput
          label={t('which')}
          required
          value={devices}
          onChange={({ currentTarget }) => setDevices(currentTarget.value)}
        />
        <TextInput
          label={t('commandNames')}
          required
          value={commands}
          onChange={({ currentTarget }) => setCommands(currentTarget.value)}
        />
        <NativeSelect
          label={t('risk')}
          value={risk}
          onChange={({ currentTarget }) => setRisk(currentTarget.value)}
          data={RISKS.map(value => ({ value, label: word('risk', value) }))}
        />
        <NumberInput label={t('perDay')} min={1} value={perDay} onChange={setPerDay} w="8rem" />
        <Button type="submit" variant="default">
          {t('grant')}
        </Button>
      </Group>
    </form>
  )
}
