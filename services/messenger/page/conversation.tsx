import { Button, Group, Text, Title } from '@mantine/core'
import { ArrowLeft, Bell, BellOff, Users } from 'lucide-react'
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { Confirm, type Question } from '../../host/page/confirm.tsx'
import { useLoaded } from '../../host/page/use-loaded.ts'
import { MAX_FILE_BYTES } from '../core/constants.ts'
import { base64Of } from './bytes.ts'
import { Composer } from './composer.tsx'
import { Members } from './members.tsx'
import { lineId, Message, type MessageActions } from './message.tsx'
import { type Outbox, stillUnsent, type Waiting } from './outbox.ts'
import type { PartProps } from './part.ts'
import { Pinned } from './pinned.tsx'
import { Report } from './report.tsx'
import { SentLater } from './sent-later.tsx'
import { Unsent } from './unsent.tsx'
import { useLines } from './use-lines.ts'
import { usePresence, useTyping } from './use-presence.ts'
import type { Chat, Line, Presence, Status, User } from './wire.ts'
import type { Words } from './words.ts'

/** So near to its end, one reads what is new. */
const NEAR_PX = 80
const MAX_NAME = 100
/** of a browser */
const MAX_TIMER_MS = 2 ** 31 - 1

interface ConversationProps extends PartProps {
  chat: Chat
  me: NonNullable<Status['me']>
  quiet: Status['quiet']
  people: readonly User[]
  waiting: readonly Waiting[]
  outbox: Outbox | undefined
  /** it was read, or its members are others */
  changed(): void
  close(): void
}

export function Conversation(props: ConversationProps) {
  const { chat, me, quiet, words, api, fail, waiting, outbox, changed, close } = props
  const { t, bytes } = words
  const { page, reload, older, reach } = useLines(props, chat.id)
  const presence = usePresence(props, chat.id)
  const typing = useTyping(api, chat.id)
  const [about, setAbout] = useState<{ line: Line; isEdit: boolean }>()
  const [question, setQuestion] = useState<Question>()
  const [reported, setReported] = useState<Line>()
  const [isOpen, setIsOpen] = useState(false)
  const [isSendingFile, setIsSendingFile] = useState(false)
  const list = useRef<HTMLUListElement>(null)
  const isAtEnd = useRef(true)
  const lines = page?.lines
  const ours = waiting.filter(({ group }) => group === chat.id)
  // a page hears of a message before the answer to who sent it
  const known = useRef(new Set<string>())
  if (ours.length === 0) for (const { id } of lines ?? []) known.current.add(id)
  const fresh = lines?.filter(({ id, by }) => by.id === me.id && !known.current.has(id)) ?? []
  const unsent = stillUnsent(
    ours,
    fresh.flatMap(({ text }) => text ?? [])
  )
  useEffect(
    () => outbox?.onSent(async group => (group === chat.id ? reload() : undefined)),
    [outbox, reload, chat.id]
  )
  const byId = useMemo(() => new Map(lines?.map(line => [line.id, line])), [lines])
  const { value: pinned } = useLoaded(
    useCallback(() => api.pins(chat.id), [api, chat.id]),
    { ...props, topic: 'messenger:chat' }
  )
  const pins = pinned?.items ?? []
  const mayPin = chat.isIn && chat.silence === undefined && (me.role !== 'pupil' || chat.people.length <= 2)
  const act = useCallback((work: Promise<unknown>) => void work.then(reload, fail), [reload, fail])
  const leave = useCallback(() => setAbout(undefined), [])

  const actions: MessageActions = useMemo(
    () => ({
      reply: line => setAbout({ line, isEdit: false }),
      edit: line => setAbout({ line, isEdit: true }),
      report: setReported,
      react: (line, sign) => act(api.react(line.id, sign)),
      confirm: line => act(api.confirm(line.id)),
      pin: mayPin ? (line, isPinned) => act(isPinned ? api.pin(line.id) : api.unpin(line.id)) : undefined,
      remove: line =>
        setQuestion({
          title: t('deleteTitle'),
          text: t('deleteText'),
          yes: t('delete'),
          run: () => act(api.remove(line.id))
        })
    }),
    [api, act, t, mayPin]
  )

  const [sought, setSought] = useState<Line>()
  useLayoutEffect(() => {
    const element = sought === undefined ? null : document.getElementById(lineId(sought.id))
    if (element === null) return
    setSought(undefined)
    isAtEnd.current = false
    element.scrollIntoView({ block: 'center' })
    element.focus({ preventScroll: true })
  }, [sought, lines])
  const newest = lines?.at(-1)
  const follow = useCallback(() => {
    if (isAtEnd.current && list.current !== null) list.current.scrollTop = list.current.scrollHeight
  }, [])
  useLayoutEffect(follow, [follow, newest?.id, unsent.length])
  useEffect(() => {
    // a keyboard on the screen leaves less room
    const resized = new ResizeObserver(follow)
    resized.observe(list.current!)
    return () => resized.disconnect()
  }, [follow])
  useSilenceEnds(chat.silence?.until, changed)
  useRead(newest?.at, chat, () => void api.read(chat.id, newest!.at).then(changed, fail))

  function send(text: string, confirm: boolean): void {
    leave()
    if (about?.isEdit === true) act(api.edit(about.line.id, text))
    else {
      isAtEnd.current = true
      const reply = about?.line.id
      outbox?.add({ group: chat.id, text, ...(reply && { reply }), ...(confirm && { confirm }) })
    }
  }
  async function sendFiles(files: readonly File[]): Promise<void> {
    setIsSendingFile(true)
    for (const file of files) {
      const name = nameOf(file, t('noName'))
      try {
        if (file.size > MAX_FILE_BYTES)
          throw new Error(t('tooLarge', { name, size: bytes(file.size), count: file.size }))
        await api.sendFile(chat.id, name, await base64Of(file))
      } catch (error) {
        fail(error as Error)
      }
    }
    setIsSendingFile(false)
    await reload()
  }

  return (
    <section
      className="card"
      aria-label={words.titleOf(chat)}
      onDragOver={event => event.preventDefault()}
      onDrop={event => {
        event.preventDefault()
        void sendFiles([...event.dataTransfer.files])
      }}
      style={{
        flex: '1 1 20rem',
        minWidth: 0,
        display: 'flex',
        flexDirection: 'column',
        gap: '0.5rem',
        height: 'max(24rem, calc(100dvh - var(--artel-above, 21rem)))'
      }}
    >
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Group gap="xs" wrap="nowrap" style={{ minWidth: 0 }}>
          <Button
            hiddenFrom="md"
            variant="subtle"
            color="gray"
            px="xs"
            aria-label={t('allChats')}
            onClick={close}
          >
            <ArrowLeft size={18} aria-hidden />
          </Button>
          <div style={{ minWidth: 0 }}>
            <Title order={2} size="h4" lineClamp={1} style={{ overflowWrap: 'anywhere' }}>
              <bdi>{words.titleOf(chat)}</bdi>
            </Title>
            <Here presence={presence} words={words} />
          </div>
        </Group>
        <Group gap="xs" wrap="nowrap">
          <Button
            variant="default"
            size="xs"
            px="xs"
            aria-label={t(chat.isMuted ? 'unmute' : 'mute')}
            title={t(chat.isMuted ? 'unmute' : 'muteHint')}
            onClick={() => void api.mute(chat.id, !chat.isMuted).then(changed, fail)}
          >
            {chat.isMuted ? <BellOff size={14} aria-hidden /> : <Bell size={14} aria-hidden />}
          </Button>
          <Button
            variant="default"
            size="xs"
            leftSection={<Users size={14} aria-hidden />}
            aria-label={t('membersOf', { n: chat.people.length })}
            onClick={() => setIsOpen(true)}
          >
            {chat.people.length}
          </Button>
        </Group>
      </Group>
      <Pinned
        pins={pins}
        mayPin={mayPin}
        words={words}
        seek={line => {
          setSought(line)
          void reach(line).catch(fail)
        }}
        unpin={line => act(api.unpin(line.id))}
      />
      <ul
        ref={list}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        aria-label={t('messages')}
        // a picture has its height when it is there
        onLoadCapture={follow}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_PX
        }}
        style={{
          flex: 1,
          overflowY: 'auto',
          listStyle: 'none',
          margin: 0,
          padding: '0.25rem',
          display: 'flex',
          flexDirection: 'column',
          gap: '0.375rem'
        }}
      >
        {page?.hasMore === true && (
          <li style={{ alignSelf: 'center' }}>
            <Button size="xs" variant="default" onClick={() => void older().catch(fail)}>
              {t('older')}
            </Button>
          </li>
        )}
        {lines?.length === 0 && (
          <li>
            <Text size="sm">{t('nothingYet')}</Text>
          </li>
        )}
        {lines?.map(line => (
          <Message
            key={line.id}
            api={api}
            words={words}
            listen={props.listen}
            fail={fail}
            line={line}
            answered={line.reply === undefined ? undefined : byId.get(line.reply)}
            isOwn={line.by.id === me.id}
            isPinned={pins.some(each => each.line.id === line.id)}
            myName={me.name}
            actions={actions}
          />
        ))}
        {unsent.map(row => (
          <Unsent key={row.key} row={row} outbox={outbox} words={words} />
        ))}
        <SentLater {...props} group={chat.id} changed={follow} />
      </ul>
      {chat.waiting > 0 && (
        <Text size="xs" c="dimmed">
          {t('gaps', { n: chat.waiting })}
        </Text>
      )}
      {quiet !== undefined && (
        <Text size="sm" role="status">
          {t('quietNow', { at: words.time(quiet.until) })}
        </Text>
      )}
      {chat.silence !== undefined ? (
        <Text size="sm" role="status">
          {t('youAreSilenced', {
            name: chat.silence.by.name,
            at: words.time(chat.silence.until),
            reason: chat.silence.reason
          })}
        </Text>
      ) : chat.isIn ? (
        <Composer
          key={about?.isEdit === true ? about.line.id : ''}
          words={words}
          about={about}
          leave={leave}
          send={send}
          typing={typing}
          mayAsk={me.role !== 'pupil'}
          files={files => void sendFiles(files)}
          isSendingFile={isSendingFile}
        />
      ) : (
        <Text size="sm">{t('notIn')}</Text>
      )}
      <Confirm
        question={question}
        close={() => setQuestion(undefined)}
        texts={{ close: t('close'), keep: t('keep') }}
      />
      {reported !== undefined && (
        <Report line={reported} close={() => setReported(undefined)} api={api} words={words} />
      )}
      {isOpen && <Members {...props} presence={presence} close={() => setIsOpen(false)} />}
    </section>
  )
}

/** Who writes, or who is here. */
function Here({ presence, words: { t, time } }: { presence: Presence | undefined; words: Words }) {
  const { items = [], typing = [] } = presence ?? {}
  const [only] = items.length === 1 ? items : []
  const here = items.filter(({ isHere }) => isHere).length
  const text =
    typing.length > 0
      ? t('typing', { names: typing.join(', ') })
      : only !== undefined
        ? only.isHere
          ? t('here')
          : only.seen !== undefined && t('seen', { at: time(only.seen) })
        : here > 0 && t('hereCount', { n: here })
  return (
    <Text size="xs" c="dimmed" lineClamp={1} aria-live="polite" style={{ minHeight: '1.2em' }}>
      {text}
    </Text>
  )
}

/** Nobody tells when a silence has ended. */
function useSilenceEnds(untilMs: number | undefined, ended: () => void): void {
  const latest = useRef(ended)
  latest.current = ended
  useEffect(() => {
    if (untilMs === undefined) return
    const timer = setTimeout(() => latest.current(), Math.min(MAX_TIMER_MS, untilMs - Date.now() + 1000))
    return () => clearTimeout(timer)
  }, [untilMs])
}

/** What is seen is read. */
function useRead(newestMs: number | undefined, { unread }: Chat, read: () => void): void {
  const latest = useRef(read)
  latest.current = read
  const done = useRef(0)
  useEffect(() => {
    const look = (): void => {
      if (newestMs === undefined || newestMs <= done.current || unread === 0) return
      if (document.visibilityState !== 'visible') return
      done.current = newestMs
      latest.current()
    }
    look()
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [newestMs, unread])
}

const nameOf = (file: File, other: string): string =>
  file.name
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, MAX_NAME)
    .toWellFormed() || other
