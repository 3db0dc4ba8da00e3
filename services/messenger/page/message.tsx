import { ActionIcon, Button, Group, Menu, Text } from '@mantine/core'
import { EllipsisVertical } from 'lucide-react'
import { memo } from 'react'
import { MessageText } from './message-text.tsx'
import type { PartProps } from './part.ts'
import { SentFile } from './sent-file.tsx'
import type { Line } from './wire.ts'

const SIGNS = ['👍', '❤️', '😄', '😮', '😢', '✅']

export interface MessageActions {
  reply(line: Line): void
  edit(line: Line): void
  remove(line: Line): void
  report(line: Line): void
  react(line: Line, sign: string): void
  confirm(line: Line): void
  /** undefined: this person may not pin here */
  pin?: ((line: Line, isPinned: boolean) => void) | undefined
}
interface MessageProps extends PartProps {
  line: Line
  /** what it answers, where that is here */
  answered: Line | undefined
  isOwn: boolean
  isPinned: boolean
  myName: string
  actions: MessageActions
}

/** One thing that was said, with what can be done about it. */
export const Message = memo(function Message(props: MessageProps) {
  const { line, answered, isOwn, isPinned, myName, actions, words } = props
  const { t, time } = words
  if (line.kind === 'members') return <Members line={line} words={words} />
  if (line.kind === 'silence' || line.kind === 'leave' || line.kind === 'unknown')
    return <Notice line={line} words={words} />
  const isGone = line.isDeleted === true || line.isHidden === true
  return (
    <li
      id={lineId(line.id)}
      tabIndex={-1}
      style={{
        alignSelf: isOwn ? 'flex-end' : 'flex-start',
        maxWidth: 'min(42rem, 92%)',
        minWidth: 0,
        padding: '0.375rem 0.625rem',
        borderRadius: '0.625rem',
        border: '1px solid var(--artel-line)',
        ...(line.namesYou === true ? { borderInlineStart: '4px solid var(--mantine-color-orange-6)' } : {}),
        background: isOwn ? 'var(--artel-quiet)' : 'var(--artel-card)'
      }}
    >
      <Group gap="xs" justify="space-between" wrap="nowrap" align="flex-start">
        <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere', minWidth: 0 }}>
          <bdi style={{ fontWeight: 600 }}>{line.by.name}</bdi> · {time(line.at)}
          {line.isEdited === true && ` · ${t('edited')}`}
        </Text>
        {!isGone && <Actions line={line} isOwn={isOwn} isPinned={isPinned} actions={actions} words={words} />}
      </Group>
      {line.reply !== undefined && (
        <Text
          size="xs"
          c="dimmed"
          truncate
          pl="xs"
          style={{ borderInlineStart: '3px solid var(--artel-line)' }}
        >
          {answered === undefined ? (
            t('answersOlder')
          ) : (
            <>
              <bdi>{answered.by.name}</bdi>: <bdi>{answered.text ?? answered.file?.name ?? t('deleted')}</bdi>
            </>
          )}
        </Text>
      )}
      {isGone ? (
        <Text size="sm" c="dimmed" fs="italic">
          {line.hiddenUntil !== undefined
            ? t('hiddenUntil', { at: time(line.hiddenUntil) })
            : t(line.isHidden === true ? 'hidden' : 'deleted')}
        </Text>
      ) : line.file === undefined ? (
        <MessageText text={line.text ?? ''} />
      ) : (
        <SentFile {...props} line={line} />
      )}
      {line.confirm !== undefined && line.isDeleted !== true && (
        <Confirmation line={line} isOwn={isOwn} actions={actions} words={words} />
      )}
      <Reactions line={line} myName={myName} actions={actions} words={words} />
      {line.done !== undefined && (
        <Text size="xs" c="dimmed">
          {t('reportDone', { name: line.done.by.name, note: line.done.note })}
        </Text>
      )}
      {line.mark !== undefined && (
        <Text size="xs" c="dimmed" ta="end" title={line.readBy?.join(', ')}>
          {line.mark === 'read'
            ? t('readBy', { n: line.readBy?.length ?? 0 })
            : words.word('mark', line.mark)}
        </Text>
      )}
    </li>
  )
})

/** Of the element that shows a message. */
export const lineId = (id: string): string => `message-${id}`

/** What moderators do, and what only a newer program shows. */
function Notice({ line, words: { t, time } }: Pick<MessageProps, 'line' | 'words'>) {
  const { of, until, reason, isLifted } = line.silenced ?? {}
  const values = { of: of?.name ?? '', at: time(until ?? 0), reason: reason ?? '' }
  return (
    <li style={{ alignSelf: 'center', maxWidth: '92%' }}>
      <Text size="xs" c="dimmed" ta="center" style={{ overflowWrap: 'anywhere' }}>
        {time(line.at)} · <bdi>{line.by.name}</bdi> ·{' '}
        {line.kind === 'leave'
          ? t('hasLeft')
          : of === undefined
            ? t('unknownLine')
            : t(isLifted === true ? 'lifted' : 'silenced', values)}
      </Text>
    </li>
  )
}

type Some = Pick<MessageProps, 'line' | 'words' | 'actions'>

function Actions({
  line,
  isOwn,
  isPinned,
  actions,
  words: { t }
}: Some & { isOwn: boolean; isPinned: boolean }) {
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="sm"
          aria-label={t('actions', { name: line.by.name })}
          title={t('actions', { name: line.by.name })}
        >
          <EllipsisVertical size={16} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('react')}</Menu.Label>
        {SIGNS.map(sign => (
          <Menu.Item key={sign} display="inline-block" w="auto" onClick={() => actions.react(line, sign)}>
            {sign}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => actions.reply(line)}>{t('reply')}</Menu.Item>
        {actions.pin !== undefined && (
          <Menu.Item onClick={() => actions.pin!(line, !isPinned)}>{t(isPinned ? 'unpin' : 'pin')}</Menu.Item>
        )}
        {isOwn && line.kind === 'text' && (
          <Menu.Item onClick={() => actions.edit(line)}>{t('edit')}</Menu.Item>
        )}
        {isOwn && <Menu.Item onClick={() => actions.remove(line)}>{t('delete')}</Menu.Item>}
        {!isOwn && <Menu.Item onClick={() => actions.report(line)}>{t('report')}</Menu.Item>}
      </Menu.Dropdown>
    </Menu>
  )
}

/** Who is asked says that he has read it; who may know sees who did and who did not. */
function Confirmation({ line, isOwn, actions, words: { t } }: Some & { isOwn: boolean }) {
  const { isDone, by, missing } = line.confirm!
  return (
    <>
      {!isOwn &&
        (isDone ? (
          <Text size="xs" c="dimmed">
            {t('confirmed')}
          </Text>
        ) : (
          <Button size="compact-sm" mt={4} onClick={() => actions.confirm(line)}>
            {t('confirm')}
          </Button>
        ))}
      {by !== undefined && missing !== undefined && (
        <details style={{ fontSize: 'var(--mantine-font-size-xs)' }}>
          <summary>{t('confirmedBy', { n: by.length, all: by.length + missing.length })}</summary>
          {by.length > 0 && <div>{t('didConfirm', { names: by.join(', ') })}</div>}
          {missing.length > 0 && <div>{t('notConfirmed', { names: missing.join(', ') })}</div>}
        </details>
      )}
    </>
  )
}

function Reactions({ line, myName, actions, words: { t } }: Some & { myName: string }) {
  if (line.reactions === undefined) return null
  return (
    <Group gap={4} mt={4}>
      {line.reactions.map(({ with: sign, by }) => {
        const isMine = by.includes(myName)
        return (
          <Button
            key={sign}
            size="compact-xs"
            variant={isMine ? 'light' : 'default'}
            radius="xl"
            aria-pressed={isMine}
            aria-label={t('reaction', { sign, n: by.length, names: by.join(', ') })}
            title={by.join(', ')}
            // one of each person: another takes the place of the first
            onClick={() => actions.react(line, isMine ? '' : sign)}
          >
            {sign} {by.length}
          </Button>
        )
      })}
    </Group>
  )
}

function Members({ line, words: { t, time } }: Pick<MessageProps, 'line' | 'words'>) {
  const { joined = [], left = [], devices = [] } = line
  return (
    <li style={{ alignSelf: 'center', maxWidth: '92%' }}>
      <Text size="xs" c="dimmed" ta="center" style={{ overflowWrap: 'anywhere' }}>
        {time(line.at)} · <bdi>{line.by.name}</bdi>
        {joined.length > 0 && ` · ${t('joined', { names: joined.join(', ') })}`}
        {left.length > 0 && ` · ${t('left', { names: left.join(', ') })}`}
        {devices.map(each => ` · ${t('anotherDevice', each)}`)}
      </Text>
    </li>
  )
}
