import { Button, Group, Modal, Text } from '@mantine/core'

/** A question before what cannot be undone; `undefined`: nothing is asked. */
export interface Question {
  title: string
  text: string
  yes: string
  run(): void
}

interface ConfirmProps {
  question: Question | undefined
  close(): void
  texts: { close: string; keep: string }
}

export function Confirm({ question, close, texts }: ConfirmProps) {
  return (
    <Modal
      opened={question !== undefined}
      onClose={close}
      title={question?.title}
      closeButtonProps={{ 'aria-label': texts.close }}
    >
      <Text size="sm">{question?.text}</Text>
      <Group mt="md" justify="flex-end">
        <Button variant="default" onClick={close} data-autofocus>
          {texts.keep}
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
