import { Button, Checkbox, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { Choose } from './choose.tsx'
import type { PartProps } from './part.ts'
import type { User } from './wire.ts'

/** Begins a chat with people, with whole classes, or with both. */
export function NewChat({
  people,
  me,
  api,
  words,
  begun,
  close
}: Pick<PartProps, 'api' | 'words'> & {
  people: readonly User[]
  me: { id: string }
  begun(id: string): void
  close(): void
}) {
  const { t } = words
  const [title, setTitle] = useState('')
  const [users, setUsers] = useState<string[]>([])
  const [classes, setClasses] = useState<string[]>([])
  const [state, setState] = useState<'asking' | 'busy' | Error>('asking')
  const others = people.filter(({ id, isDisabled }) => id !== me.id && !isDisabled)
  const known = [...new Set(others.flatMap(each => each.classes))].sort()

  async function begin(): Promise<void> {
    setState('busy')
    try {
      begun((await api.begin({ title: title.trim(), users, classes })).id)
    } catch (error) {
      setState(error as Error)
    }
  }
  return (
    <Modal opened onClose={close} title={t('newChat')} closeButtonProps={{ 'aria-label': t('close') }}>
      <form
        onSubmit={event => {
          event.preventDefault()
          void begin()
        }}
      >
        <Stack gap="sm">
          <TextInput
            label={t('title')}
            description={t('titleHint')}
            maxLength={100}
            value={title}
            onChange={({ currentTarget }) => setTitle(currentTarget.value)}
          />
          <Choose label={t('with')} people={others} chosen={users} onChange={setUsers} words={words} />
          {known.length > 0 && (
            <Checkbox.Group label={t('classes')} value={classes} onChange={setClasses}>
              <Group gap="sm" mt={4}>
                {known.map(name => (
                  <Checkbox key={name} value={name} label={name} />
                ))}
              </Group>
            </Checkbox.Group>
          )}
          {state instanceof Error && (
            <Text role="alert" size="sm">
              {t('failed', { reason: state.message })}
            </Text>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t('cancel')}
            </Button>
            <Button
              type="submit"
              loading={state === 'busy'}
              disabled={users.length === 0 && classes.length === 0}
            >
              {t('begin')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
