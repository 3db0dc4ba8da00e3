import { useEffect, useRef, useState } from 'react'
import type { Chat } from './wire.ts'
import type { Words } from './words.ts'

/** Undefined: this browser has none, or not over HTTP. */
const permission = (): NotificationPermission | undefined =>
  'Notification' in window && window.isSecureContext ? Notification.permission : undefined

/**
 * Tells of what is new while the page is open and not looked at, where the person lets it: of a muted chat only that
 * somebody named him. It says which chat, and nothing of what was written.
 */
export function useNotifications(chats: readonly Chat[] | undefined, words: Words) {
  const [allowed, setAllowed] = useState(permission)
  const before = useRef<ReadonlyMap<string, Chat>>(undefined)
  useEffect(() => {
    if (chats === undefined) return
    const known = before.current
    before.current = new Map(chats.map(chat => [chat.id, chat]))
    if (known === undefined || permission() !== 'granted' || document.visibilityState === 'visible') return
    for (const chat of chats) {
      const { unread = 0, mentions = 0 } = known.get(chat.id) ?? {}
      const isNamed = chat.mentions > mentions
      if (!isNamed && (chat.isMuted || chat.unread <= unread)) continue
      const body = words.t(isNamed ? 'toldNamed' : 'toldUnread', { n: chat.unread })
      new Notification(words.titleOf(chat), { body, tag: chat.id })
    }
  }, [chats, words])
  return {
    mayAsk: allowed === 'default',
    ask: (): void => void Notification.requestPermission().then(setAllowed)
  }
}
