import { Button, Group, NumberInput, Textarea, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { NewCampaign } from './api.ts'
import { NameAndWhich } from './name-and-which.tsx'
import { linesOf } from './part.ts'
import type { Words } from './words.ts'

const USUAL_PRIORITY = 50

interface CampaignFormProps {
  words: Words
  /** whether it was taken */
  save(campaign: NewCampaign): Promise<boolean>
}

export function CampaignForm({ words, save }: CampaignFormProps) {
  const { t } = words
  const [name, setName] = useState('')
  const [on, setOn] = useState('*')
  const [files, setFiles] = useState('')
  const [end, setEnd] = useState('')
  const [hours, setHours] = useState('')
  const [priority, setPriority] = useState<number | string>(USUAL_PRIORITY)
  return (
    <form
      aria-label={t('newCampaign')}
      onSubmit={event => {
        event.preventDefault()
        const campaign = {
          name,
          on,
          files: linesOf(files),
          end: new Date(end).toISOString(),
          schedule: linesOf(hours),
          priority: Number(priority)
        }
        void save(campaign).then(isDone => {
          if (isDone) setName('')
        })
      }}
    >
      <NameAndWhich words={words} name={name} setName={setName} on={on} setOn={setOn} />
      <Textarea
        label={t('files')}
        description={t('filesText')}
        required
        autosize
        minRows={2}
        mt="sm"
        value={files}
        onChange={({ currentTarget }) => setFiles(currentTarget.value)}
      />
      <Group align="flex-start" gap="sm" mt="sm">
        <TextInput
          label={t('until')}
          type="datetime-local"
          required
          value={end}
          onChange={({ currentTarget }) => setEnd(currentTarget.value)}
        />
        <NumberInput
          label={t('priority')}
          min={0}
          max={100}
          required
          w="8rem"
          value={priority}
          onChange={setPriority}
        />
        <Textarea
          label={t('hours')}
          description={t('hoursText')}
          autosize
          value={hours}
          onChange={({ currentTarget }) => setHours(currentTarget.value)}
          style={{ flex: '1 1 14rem' }}
        />
      </Group>
      <Button type="submit" mt="md">
        {t('save')}
      </Button>
    </form>
  )
}
