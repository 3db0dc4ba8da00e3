import { Button, Group, Modal, Text, Textarea } from '@mantine/core'
import { useState } from 'react'
import type { PartProps } from './part.ts'
import type { Line } from './wire.ts'

/** Tells an admin of the school about a message. */
export function Report({
  line,
  close,
  api,
  words: { t }
}: Pick<PartProps, 'api' | 'words'> & { line: Line; close(): void }) {
  const [reason, setReason] = useState('')
  const [state, setState] = useState<'asking' | 'sending' | 'sent' | Error>('asking')
  async function send(): Promise<void> {
    setState('sending')
    try {
      await api.report(line.id, reason.trim())
      setState('sent')
    } catch (error) {
      setState(error as Error)
    }
  }
  return (
    <Modal
      opened
      onClose={close}
      title={t('reportTitle', { name: line.by.name })}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      {state === 'sent' ? (
        <Text role="status">{t('reported')}</Text>
      ) : (
        <form
          onSubmit={event => {
            event.preventDefault()
            void send()
          }}
        >
          <Text size="sm" mb="sm">
            {t('reportText')}
          </Text>
          <Textarea
            label={t('reason')}
            required
            maxLength={1_000}
            value={reason}
            onChange={({ currentTarget }) => setReason(currentTarget.value)}
            data-autofocus
          />
          {state instanceof Error && (
            <Text role="alert" size="sm" mt="xs">
              {t('failed', { reason: state.message })}
            </Text>
          )}
          <Group mt="md" justify="flex-end">
            <Button variant="default" onClick={close}>
              {t('cancel')}
            </Button>
            <Button type="submit" color="red.8" loading={state === 'sending'}>
              {t('report')}
            </Button>
          </Group>
        </form>
      )}
    </Modal>
  )
}
