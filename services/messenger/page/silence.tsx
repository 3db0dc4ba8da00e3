import { Button, Group, Modal, NativeSelect, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { MAX_REASON_CHARS } from '../core/constants.ts'
import type { PartProps } from './part.ts'

const MINUTES = [10, 60, 24 * 60, 7 * 24 * 60]

/** Silences somebody in a chat for a time, with a reason that everybody sees. */
export function Silence({
  group,
  person,
  close,
  api,
  words: { t, minutes: shown }
}: Pick<PartProps, 'api' | 'words'> & {
  group: string
  person: { id: string; name: string }
  close(): void
}) {
  const [minutes, setMinutes] = useState(60)
  const [reason, setReason] = useState('')
  const [state, setState] = useState<'asking' | 'busy' | Error>('asking')
  async function silence(): Promise<void> {
    setState('busy')
    await api.silence(group, person.id, minutes, reason.trim()).then(close, setState)
  }
  return (
    <Modal
      opened
      onClose={close}
      title={t('silenceOf', { name: person.name })}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <form
        onSubmit={event => {
          event.preventDefault()
          void silence()
        }}
      >
        <Stack gap="sm">
          <NativeSelect
            label={t('silenceFor')}
            value={minutes}
            onChange={({ currentTarget }) => setMinutes(Number(currentTarget.value))}
            data={MINUTES.map(value => ({ value: String(value), label: shown(value) }))}
          />
          <TextInput
            label={t('silenceReason')}
            required
            maxLength={MAX_REASON_CHARS}
            value={reason}
            onChange={({ currentTarget }) => setReason(currentTarget.value)}
          />
          {state instanceof Error && (
            <Text role="alert" size="sm">
              {t('failed', { reason: state.message })}
            </Text>
          )}
          <Group justify="flex-end">
            <Button type="submit" loading={state === 'busy'}>
              {t('silence')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
