import { parseCookie, type SetCookie, stringifySetCookie } from 'cookie'
import { isMark } from './devices.ts'

/** A known browser is known for a year. */
const DEVICE_S = 365 * 86_400

/** A browser has one jar for all ports of a host: two nodes of one machine must not overwrite each other's. */
function namesOf(host: string): { session: string; device: string } {
  const port = /:(\d+)$/.exec(host)?.[1]
  const suffix = port == null ? '' : `-${port}`
  return { session: `artel-session${suffix}`, device: `artel-device${suffix}` }
}

/** What a browser sent of ours. Pure. */
export function readCookies(header: string | undefined, host: string): { session?: string; device?: string } {
  if (header == null) return {}
  const { session, device } = namesOf(host)
  const { [session]: secret, [device]: mark } = parseCookie(header)
  return { session: secret, device: mark != null && isMark(mark) ? mark : undefined }
}

/**
 * Headers that give a browser its session, or take it. No script reads them (HttpOnly), and no page of another site
 * sends them (SameSite). Pure.
 */
export function writeCookies(
  init: { host: string; isSecure: boolean },
  values: { session: string; device?: string }
): string[] {
  const names = namesOf(init.host)
  const common = { path: '/api/v1', httpOnly: true, sameSite: 'strict', secure: init.isSecure } as const
  const cookies: SetCookie[] = [
    // ends with the browser; the server ends it sooner where it is idle
    { ...common, name: names.session, value: values.session, ...(values.session === '' ? { maxAge: 0 } : {}) }
  ]
  if (values.device != null)
    cookies.push({ ...common, name: names.device, value: values.device, maxAge: DEVICE_S })
  return cookies.map(cookie => stringifySetCookie(cookie))
}
