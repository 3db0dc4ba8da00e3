import { useSyncExternalStore } from 'react'

const KEY = 'artel.token'
const SIGNED_IN = 'artel.signedIn'
/** Stands for the session whose cookie no script can read. */
export const COOKIE = 'cookie'
const listeners = new Set<() => void>()
let refused: 'token' | 'session' | undefined
let invitation: string | null = null

function tell(): void {
  for (const listener of listeners) listener()
}

/** With what the dashboard asks: a token, which lasts as long as the tab, or the session of who signed in. */
export const token = {
  get: (): string | null =>
    sessionStorage.getItem(KEY) ?? (localStorage.getItem(SIGNED_IN) == null ? null : COOKIE),
  set(value: string): void {
    refused = undefined
    sessionStorage.setItem(KEY, value.trim())
    tell()
  },
  /** the node has set the cookie */
  signIn(): void {
    refused = undefined
    invitation = null
    sessionStorage.removeItem(KEY)
    localStorage.setItem(SIGNED_IN, 'yes')
    tell()
  },
  leave(): void {
    // with whatever pages kept for who was here
    sessionStorage.clear()
    localStorage.removeItem(SIGNED_IN)
    tell()
  },
  /** the node did not take it */
  refuse(value: string | null): void {
    // an answer to a request with an older token says nothing about the one now
    if (value == null || value !== token.get()) return
    refused = value === COOKIE ? 'session' : 'token'
    sessionStorage.removeItem(KEY)
    localStorage.removeItem(SIGNED_IN)
    tell()
  },
  refused: () => refused,
  /** the code of an invitation that was opened and not accepted yet */
  invitation: (): string | null => invitation,
  dropInvitation(): void {
    invitation = null
    tell()
  }
}

/** Takes `#token=…` or `#invite=…` out of the address, so that it stands neither there nor in the history. */
export function takeTokenFromAddress(): void {
  const [, kind, found] = /^#(token|invite)=([\w.~-]+)/.exec(window.location.hash) ?? []
  if (found == null) return
  if (kind === 'invite') {
    invitation = found
    tell()
  } else token.set(found)
  window.history.replaceState(null, '', `${window.location.pathname}#/`)
  window.dispatchEvent(new HashChangeEvent('hashchange'))
}

function subscribe(changed: () => void): () => void {
  listeners.add(changed)
  return () => listeners.delete(changed)
}

export const useToken = (): string | null => useSyncExternalStore(subscribe, token.get)
export const useInvitation = (): string | null => useSyncExternalStore(subscribe, token.invitation)
