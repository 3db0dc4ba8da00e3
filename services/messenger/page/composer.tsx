import { ActionIcon, Button, CloseButton, Group, Text, Textarea } from '@mantine/core'
import { MailCheck, Paperclip, SendHorizontal } from 'lucide-react'
import { type ClipboardEvent, type KeyboardEvent, useRef, useState } from 'react'
import { MAX_TEXT_CHARS } from '../core/constants.ts'
import type { Line } from './wire.ts'
import type { Words } from './words.ts'

interface ComposerProps {
  words: Words
  /** what is answered, or written anew */
  about: { line: Line; isEdit: boolean } | undefined
  leave(): void
  send(text: string, confirm: boolean): void
  /** it is being written */
  typing(): void
  /** everybody may be asked to confirm that he has read it */
  mayAsk: boolean
  files(files: readonly File[]): void
  isSendingFile: boolean
}

/** Where one writes; Enter sends, with Shift it begins a line. */
export function Composer({
  words: { t },
  about,
  leave,
  send,
  typing,
  mayAsk,
  files,
  isSendingFile
}: ComposerProps) {
  const [asks, setAsks] = useState(false)
  const [text, setText] = useState(about?.isEdit === true ? (about.line.text ?? '') : '')
  const input = useRef<HTMLInputElement>(null)
  const rest = MAX_TEXT_CHARS - text.trim().length

  function submit(): void {
    const said = text.trim()
    if (said === '' || rest < 0) return
    setText('')
    setAsks(false)
    send(said, asks)
  }
  function press(event: KeyboardEvent): void {
    if (event.key === 'Escape') leave()
    // a word of an input method is being chosen
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    submit()
  }
  function paste(event: ClipboardEvent): void {
    if (event.clipboardData.files.length === 0) return
    event.preventDefault()
    files([...event.clipboardData.files])
  }

  return (
    <form
      onSubmit={event => {
        event.preventDefault()
        submit()
      }}
    >
      {about !== undefined && (
        <Group gap="xs" wrap="nowrap" justify="space-between">
          <Text size="xs" c="dimmed" truncate>
            {t(about.isEdit ? 'editing' : 'answering', { name: about.line.by.name })}:{' '}
            <bdi>{about.line.text ?? about.line.file?.name}</bdi>
          </Text>
          <CloseButton size="sm" aria-label={t('cancel')} onClick={leave} />
        </Group>
      )}
      <Group gap="xs" wrap="nowrap" align="flex-end">
        <input
          ref={input}
          type="file"
          multiple
          hidden
          aria-hidden
          onChange={({ currentTarget }) => {
            files([...(currentTarget.files ?? [])])
            currentTarget.value = ''
          }}
        />
        <ActionIcon
          variant="default"
          size="lg"
          loading={isSendingFile}
          aria-label={t('attach')}
          title={t('attach')}
          onClick={() => input.current?.click()}
        >
          <Paperclip size={18} aria-hidden />
        </ActionIcon>
        <Textarea
          style={{ flex: 1 }}
          autosize
          minRows={1}
          maxRows={8}
          dir="auto"
          aria-label={t('write')}
          placeholder={t('write')}
          value={text}
          error={rest < 0 ? t('tooLong', { n: -rest }) : undefined}
          onChange={({ currentTarget }) => {
            setText(currentTarget.value)
            typing()
          }}
          onKeyDown={press}
          onPaste={paste}
        />
        {mayAsk && about?.isEdit !== true && (
          <ActionIcon
            variant={asks ? 'filled' : 'default'}
            size="lg"
            aria-pressed={asks}
            aria-label={t('askConfirm')}
            title={t('askConfirm')}
            onClick={() => setAsks(!asks)}
          >
            <MailCheck size={18} aria-hidden />
          </ActionIcon>
        )}
        <Button type="submit" px="sm" aria-label={t('send')} title={t('send')}>
          <SendHorizontal size={18} aria-hidden />
        </Button>
      </Group>
    </form>
  )
}
