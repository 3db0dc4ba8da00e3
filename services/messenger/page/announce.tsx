import { Button, Checkbox, Group, Modal, Stack, Text, Textarea } from '@mantine/core'
import { useState } from 'react'
import { MAX_TEXT_CHARS } from '../core/constants.ts'
import type { PartProps } from './part.ts'
import type { Announced, User } from './wire.ts'

/** Writes the same to the chats of classes, once, and says where it went. */
export function Announce({
  people,
  api,
  words: { t },
  close
}: Pick<PartProps, 'api' | 'words'> & { people: readonly User[]; close(): void }) {
  const known = [...new Set(people.flatMap(each => (each.isDisabled ? [] : each.classes)))].sort()
  const [text, setText] = useState('')
  const [classes, setClasses] = useState(known)
  const [asks, setAsks] = useState(false)
  const [state, setState] = useState<'asking' | 'busy' | Announced | Error>('asking')
  // whoever tries again after an error says it once
  const [key, setKey] = useState(crypto.getRandomValues(new Uint32Array(4)).join('-'))
  const changed = (): void => setKey(crypto.getRandomValues(new Uint32Array(4)).join('-'))
  async function announce(): Promise<void> {
    setState('busy')
    await api.announce({ text: text.trim(), classes, confirm: asks }, key).then(setState, setState)
  }
  return (
    <Modal opened onClose={close} title={t('announce')} closeButtonProps={{ 'aria-label': t('close') }}>
      {typeof state === 'object' && 'sent' in state ? (
        <Stack gap="xs" role="status">
          <Text>{t('announcedTo', { names: state.sent.map(each => each.class).join(', ') || '–' })}</Text>
          {state.without.length > 0 && (
            <Text>{t('announcedWithout', { names: state.without.join(', ') })}</Text>
          )}
          {state.failed.map(each => (
            <Text key={each.chat}>
              {each.class}: {t('failed', { reason: each.reason })}
            </Text>
          ))}
        </Stack>
      ) : (
        <form
          onSubmit={event => {
            event.preventDefault()
            void announce()
          }}
        >
          <Stack gap="sm">
            <Textarea
              label={t('announceText')}
              required
              autosize
              minRows={3}
              maxLength={MAX_TEXT_CHARS}
              value={text}
              onChange={({ currentTarget }) => {
                setText(currentTarget.value)
                changed()
              }}
              data-autofocus
            />
            <Checkbox.Group label={t('classes')} value={classes} onChange={setClasses}>
              <Group gap="sm" mt={4}>
                {known.map(name => (
                  <Checkbox key={name} value={name} label={name} />
                ))}
              </Group>
            </Checkbox.Group>
            <Checkbox
              label={t('askConfirm')}
              checked={asks}
              onChange={({ currentTarget }) => setAsks(currentTarget.checked)}
            />
            {state instanceof Error && (
              <Text role="alert" size="sm">
                {t('failed', { reason: state.message })}
              </Text>
            )}
            <Group justify="flex-end">
              <Button type="submit" loading={state === 'busy'} disabled={classes.length === 0}>
                {t('announce')}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  )
}
