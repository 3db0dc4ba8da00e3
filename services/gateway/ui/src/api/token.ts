import { useSyncExternalStore } from 'react'

const KEY = 'artel.token'
const listeners = new Set<() => void>()
let refused = false

/** Lasts as long as the tab: the token is a password of this node. */
export const token = {
  get: (): string | null => sessionStorage.getItem(KEY),
  set(value: string): void {
    refused = false
    sessionStorage.setItem(KEY, value.trim())
    for (const listener of listeners) listener()
  },
  /** the node did not take it */
  refuse(value: string | null): void {
    // an answer to a request with an older token says nothing about the one now
    if (value !== token.get()) return
    refused = value != null
    sessionStorage.removeItem(KEY)
    for (const listener of listeners) listener()
  },
  wasRefused: (): boolean => refused
}

/** Takes the token out of `#token=…`, so that it stands neither in the address nor in the history. */
export function takeTokenFromAddress(): void {
  const found = /^#token=([\w.~-]+)/.exec(window.location.hash)?.[1]
  if (found == null) return
  token.set(found)
  window.history.replaceState(null, '', `${window.location.pathname}#/overview`)
  window.dispatchEvent(new HashChangeEvent('hashchange'))
}

export function useToken(): string | null {
  return useSyncExternalStore(changed => {
    listeners.add(changed)
    return () => listeners.delete(changed)
  }, token.get)
}
