import { createTransport } from 'nodemailer'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import type { Alert } from './store.ts'

const SEND_MS = 30_000
/** Alerts that one letter names. */
const MAX_LINES = 50

const SAYS: Readonly<Record<string, string>> = {
  'alert.firing': 'fires',
  'alert.resolved': 'is over',
  'alert.escalated': 'fires, and nobody has acknowledged it'
}

/** What receivers get, as JSON of Standard Webhooks. */
interface Told {
  type: string
  timestamp: string
  data: { rule: string; agent: string; alerts: Alert[] }
}

/** The same for people: names of devices were written by others, and no line of them reaches a header. Pure. */
export function letterOf(body: string): { subject: string; text: string } {
  const { type, timestamp, data } = JSON.parse(body) as Told
  const { rule, agent, alerts } = data
  const what = SAYS[type] ?? type
  const lines = alerts
    .slice(0, MAX_LINES)
    .map(
      ({ severity, device, value, count, openedAt }) =>
        `${new Date(openedAt).toISOString()}  ${severity}  ${device}  ${JSON.stringify(value)}${count > 1 ? `  ${count} times` : ''}`
    )
  const more = alerts.length > MAX_LINES ? [`and ${alerts.length - MAX_LINES} more`] : []
  return {
    subject: oneLine(
      `${rule} ${what}: ${alerts.length === 1 ? alerts[0]!.device : `${alerts.length} devices`}`
    ),
    text: [`${rule} ${what}, ${timestamp}`, `node ${agent}`, '', ...lines, ...more].join('\n')
  }
}

/**
 * Sends it through `server`, as in smtps://user:password@host?from=alerts@example.org; smtp:// has to begin TLS, unless
 * it says tls=none. A letter that is sent again has the same id.
 *
 * @throws {Error} it was not taken, or not before the signal: the connection is closed then
 */
export async function sendMail(
  server: string,
  to: string,
  id: string,
  body: string,
  signal: AbortSignal
): Promise<void> {
  checkWayOut()
  const { protocol, hostname, port, username, password, searchParams } = new URL(server)
  const from = searchParams.get('from')
  if (!/^smtps?:$/.test(protocol) || from == null)
    throw new Error('the mail server is no smtps://user:password@host?from=ADDRESS')
  const isPlain = searchParams.get('tls') === 'none'
  const transport = createTransport({
    host: hostname,
    ...(port === '' ? {} : { port: Number(port) }),
    secure: protocol === 'smtps:',
    requireTLS: !isPlain,
    ignoreTLS: isPlain,
    ...(username === ''
      ? {}
      : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: SEND_MS,
    greetingTimeout: SEND_MS,
    socketTimeout: SEND_MS,
    disableFileAccess: true,
    disableUrlAccess: true
  })
  try {
    await transport.sendMail({
      ...letterOf(body),
      textEncoding: 'base64',
      from,
      to,
      messageId: `<${id}@artel>`,
      // a server that says a little now and then is silent for none of the times above
      signal
    })
  } finally {
    transport.close()
  }
}

const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 200)
