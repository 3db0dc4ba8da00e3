import { Button, Group, Modal, Text } from '@mantine/core'
import type { Words } from './words.ts'

/** A question before what cannot be undone; `undefined`: nothing is asked. */
export interface Question {
  title: string
  text: string
  yes: string
  run(): void
}

export function Confirm({
  question,
  close,
  words: { t }
}: {
  question: Question | undefined
  close(): void
  words: Words
}) {
  return (
    <Modal
      opened={question !== undefined}
      onClose={close}
      title={question?.title}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <Text size="sm">{question?.text}</Text>
      <Group mt="md" justify="flex-end">
        <Button variant="default" onClick={close} data-autofocus>
          {t('keep')}
        </Button>
        <Button
          color="red.8"
          onClick={() => {
            close()
            question?.run()
          }}
        >
          {question?.yes}
        </Button>
      </Group>
    </Modal>
  )
}
