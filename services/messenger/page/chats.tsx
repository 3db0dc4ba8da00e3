import { Badge, Box, Button, Group, Text, UnstyledButton } from '@mantine/core'
import { Bell, BellOff, Megaphone, Plus } from 'lucide-react'
import { useState } from 'react'
import { Announce } from './announce.tsx'
import { Conversation } from './conversation.tsx'
import { NewChat } from './new-chat.tsx'
import type { PartProps } from './part.ts'
import { useNotifications } from './use-notifications.ts'
import { useOutbox } from './use-outbox.ts'
import type { Chat, Status, User } from './wire.ts'
import type { Words } from './words.ts'

export interface ChatsProps extends PartProps {
  /** undefined: not known yet */
  chats: readonly Chat[] | undefined
  people: readonly User[]
  me: NonNullable<Status['me']>
  /** those of this person that are now */
  quiet: Status['quiet']
  opened: string | undefined
  open(id: string | undefined): void
  changed(): void
}

/** The chats of this device, and one of them beside the list; on a phone in its place. */
export function Chats(props: ChatsProps) {
  const { chats, opened, open, words, changed } = props
  const { t } = words
  const [isNew, setIsNew] = useState(false)
  const [isAnnouncing, setIsAnnouncing] = useState(false)
  const notifications = useNotifications(chats, words)
  const { waiting, outbox } = useOutbox(props.api, props.listen, props.me.id, props.quiet !== undefined)
  const chat = chats?.find(({ id }) => id === opened)
  if (chats === undefined) return null
  return (
    <Group align="stretch" gap="md">
      <Box
        component="section"
        className="card"
        aria-label={t('chats')}
        style={{ flex: '1 1 16rem', maxWidth: chat === undefined ? undefined : '22rem' }}
        {...(chat === undefined ? {} : { visibleFrom: 'md' })}
      >
        <Button
          fullWidth
          variant="default"
          leftSection={<Plus size={16} aria-hidden />}
          onClick={() => setIsNew(true)}
        >
          {t('newChat')}
        </Button>
        {props.me.role !== 'pupil' && (
          <Button
            fullWidth
            mt="xs"
            variant="default"
            leftSection={<Megaphone size={16} aria-hidden />}
            onClick={() => setIsAnnouncing(true)}
          >
            {t('announce')}
          </Button>
        )}
        {notifications.mayAsk && (
          <Button
            fullWidth
            mt="xs"
            variant="subtle"
            leftSection={<Bell size={16} aria-hidden />}
            onClick={notifications.ask}
          >
            {t('tellMe')}
          </Button>
        )}
        {chats.length === 0 && (
          <Text size="sm" mt="sm">
            {t('noChats')}
          </Text>
        )}
        <ul style={{ listStyle: 'none', margin: 0, padding: 0 }}>
          {chats.map(each => (
            <li key={each.id} style={{ borderBlockEnd: '1px solid var(--artel-line)' }}>
              <ChatRow
                chat={each}
                words={words}
                isOpened={each.id === opened}
                unsent={waiting.filter(({ group }) => group === each.id).length}
                open={() => open(each.id)}
              />
            </li>
          ))}
        </ul>
      </Box>
      {chat !== undefined && (
        <Conversation
          {...props}
          key={chat.id}
          chat={chat}
          waiting={waiting}
          outbox={outbox}
          close={() => open(undefined)}
        />
      )}
      {isAnnouncing && (
        <Announce people={props.people} api={props.api} words={words} close={() => setIsAnnouncing(false)} />
      )}
      {isNew && (
        <NewChat
          {...props}
          close={() => setIsNew(false)}
          begun={id => {
            setIsNew(false)
            changed()
            open(id)
          }}
        />
      )}
    </Group>
  )
}

function ChatRow({
  chat,
  words,
  isOpened,
  unsent,
  open
}: {
  chat: Chat
  words: Words
  isOpened: boolean
  unsent: number
  open(): void
}) {
  const { t, time } = words
  return (
    <UnstyledButton w="100%" py="xs" aria-pressed={isOpened} onClick={open}>
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <div style={{ minWidth: 0 }}>
          <Text
            fw={isOpened || chat.unread > 0 ? 700 : 500}
            lineClamp={2}
            style={{ overflowWrap: 'anywhere' }}
          >
            <bdi>{words.titleOf(chat)}</bdi>
          </Text>
          <Text size="xs" c="dimmed">
            {time(chat.at)} · {t('peopleCount', { n: chat.people.length })}
            {chat.isMuted && (
              <>
                {' · '}
                <BellOff size={12} aria-hidden /> {t('isMuted')}
              </>
            )}
            {!chat.isIn && ` · ${t('notInShort')}`}
            {unsent > 0 && ` · ${t('unsent', { n: unsent })}`}
          </Text>
        </div>
        {chat.unread > 0 && (
          <Badge
            circle={chat.unread < 10 && chat.mentions === 0}
            color={chat.mentions > 0 ? 'red.8' : chat.isMuted ? 'gray.7' : undefined}
            aria-label={t(chat.mentions > 0 ? 'unreadNamed' : 'unread', { n: chat.unread })}
          >
            {chat.mentions > 0 ? `@ ${chat.unread}` : chat.unread}
          </Badge>
        )}
      </Group>
    </UnstyledButton>
  )
}
