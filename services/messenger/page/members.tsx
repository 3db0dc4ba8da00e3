import { Button, Group, Modal, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import { RemoveButton, Row, Rows } from '../../host/page/rows.tsx'
import { Choose } from './choose.tsx'
import type { PartProps } from './part.ts'
import { Silence } from './silence.tsx'
import type { Chat, Presence, User } from './wire.ts'

const RANK = { pupil: 0, teacher: 1, admin: 2 }

/** Who is in a chat; who may, changes it. */
export function Members({
  chat,
  people,
  presence,
  me,
  api,
  words,
  fail,
  changed,
  close
}: Pick<PartProps, 'api' | 'words' | 'fail'> & {
  chat: Chat
  people: readonly User[]
  presence: Presence | undefined
  me: { id: string; role: User['role'] }
  changed(): void
  close(): void
}) {
  const { t } = words
  const [title, setTitle] = useState(chat.title)
  const [added, setAdded] = useState<string[]>([])
  const [silenced, setSilenced] = useState<{ id: string; name: string }>()
  const [isBusy, setIsBusy] = useState(false)
  const [question, setQuestion] = useState<Question>()
  const isIn = new Set(chat.people.map(({ id }) => id))

  function hereOf(id: string): string | false {
    const { isHere, seen } = presence?.items.find(each => each.id === id) ?? {}
    if (isHere === true) return t('here')
    return seen !== undefined && t('seen', { at: words.time(seen) })
  }
  const maySilence = (id: string): boolean => {
    const role = people.find(each => each.id === id)?.role
    return role !== undefined && RANK[me.role] > RANK[role]
  }
  async function change(changes: Parameters<typeof api.change>[1]): Promise<void> {
    setIsBusy(true)
    try {
      await api.change(chat.id, changes)
      setAdded([])
    } catch (error) {
      fail(error as Error)
      close()
    }
    setIsBusy(false)
    changed()
  }
  return (
    <Modal
      opened
      onClose={close}
      title={t('membersOf', { n: chat.people.length })}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <Stack gap="sm">
        <Rows label={t('people')} empty={t('nobody')}>
          {chat.people.map(({ id, name }) => (
            <Row key={id} title={name} detail={[id, hereOf(id)].filter(Boolean).join(' · ')}>
              {chat.isIn && maySilence(id) && (
                <>
                  <Button
                    size="xs"
                    variant="default"
                    aria-label={t('silenceOf', { name })}
                    onClick={() => setSilenced({ id, name })}
                  >
                    {t('silence')}
                  </Button>
                  {chat.silenced.includes(id) && (
                    <Button
                      size="xs"
                      variant="default"
                      aria-label={t('liftOf', { name })}
                      onClick={() => void api.lift(chat.id, id).then(changed, fail)}
                    >
                      {t('lift')}
                    </Button>
                  )}
                </>
              )}
              {chat.isIn && id !== me.id && (
                <RemoveButton
                  label={t('removeMember', { name })}
                  onClick={() => void change({ remove: [id] })}
                />
              )}
            </Row>
          ))}
        </Rows>
        {chat.isIn && (
          <>
            <Choose
              label={t('add')}
              people={people.filter(({ id, isDisabled }) => !isIn.has(id) && !isDisabled)}
              chosen={added}
              onChange={setAdded}
              words={words}
            />
            <Group justify="flex-end">
              <Button
                disabled={added.length === 0}
                loading={isBusy}
                onClick={() => void change({ add: added })}
              >
                {t('add')}
              </Button>
            </Group>
            <form
              onSubmit={event => {
                event.preventDefault()
                void change({ title: title.trim() })
              }}
            >
              <Group align="flex-end" gap="xs" wrap="nowrap">
                <TextInput
                  style={{ flex: 1 }}
                  label={t('title')}
                  required
                  maxLength={100}
                  value={title}
                  onChange={({ currentTarget }) => setTitle(currentTarget.value)}
                />
                <Button type="submit" variant="default" loading={isBusy}>
                  {t('save')}
                </Button>
              </Group>
            </form>
            {chat.people.length > 1 && (
              <Button
                variant="default"
                style={{ alignSelf: 'flex-start' }}
                onClick={() =>
                  setQuestion({
                    title: t('leave'),
                    text: t('leaveWhat'),
                    yes: t('leave'),
                    run: () => void api.leave(chat.id).then(changed, fail).then(close)
                  })
                }
              >
                {t('leave')}
              </Button>
            )}
          </>
        )}
      </Stack>
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('cancel') }}
      />
      {silenced !== undefined && (
        <Silence
          group={chat.id}
          person={silenced}
          api={api}
          words={words}
          close={() => {
            setSilenced(undefined)
            changed()
          }}
        />
      )}
    </Modal>
  )
}
