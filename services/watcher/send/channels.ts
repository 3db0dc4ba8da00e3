import { createHmac } from 'node:crypto'
import type { Transporter } from 'nodemailer'
import { raceSignal } from 'race-signal'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import type { ServiceApis } from '../../host/index.ts'
import type { Outbound } from '../../outbound/index.ts'
import type { Message } from '../contract.ts'
import { DeliveryError } from '../errors.ts'
import type { Passwords } from '../passwords.ts'
import type { Channel } from '../rule.ts'
import { compose, oneLine } from './compose.ts'

export interface MailSettings {
  smtpHost: string
  smtpPort: number
  smtpTls: 'required' | 'none'
  smtpUser: string
  smtpFrom: string
}

export interface ChannelsInit {
  outbound: Outbound
  secrets: Pick<Passwords, 'key'>
  mail(): MailSettings
  /** undefined: it does not run now */
  messenger(): ServiceApis['messenger'] | undefined
  now(): number
}

/** Name of the secret that is the password of the mail server. */
export const SMTP_SECRET = 'smtp'
const SEND_MS = 60_000

/**
 * Sends one message by its channel. `name` is the same however often it is sent: whoever gets it twice can tell.
 *
 * @throws {DeliveryError} it was not taken
 */
export type Send = (channel: Channel, message: Message, name: string, signal: AbortSignal) => Promise<void>

export function createSend({ outbound, secrets, mail, messenger, now }: ChannelsInit): Send {
  async function webhook(
    { url, secret }: Extract<Channel, { kind: 'webhook' }>,
    message: Message,
    name: string,
    signal: AbortSignal
  ): Promise<void> {
    const body = JSON.stringify(message)
    const { status } = await outbound.fetch(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'idempotency-key': name,
        'artel-signature': signature(await secrets.key(secret), Math.floor(now() / 1000), body)
      },
      isRobot: false,
      deadlineMs: SEND_MS,
      maxBytes: 64 * 1024,
      signal
    })
    if (status < 200 || status > 299) throw new DeliveryError(`${url} answers ${status}`)
  }

  async function email(
    { to }: Extract<Channel, { kind: 'email' }>,
    message: Message,
    name: string,
    signal: AbortSignal
  ): Promise<void> {
    const { smtpHost, smtpPort, smtpTls, smtpUser, smtpFrom } = mail()
    if (smtpHost === '' || smtpFrom === '')
      throw new DeliveryError('no mail server; artel config set watch.smtpHost …, watch.smtpFrom …')
    // most nodes send no mail, and what does takes some MB
    const { createTransport } = await import('nodemailer')
    const auth = smtpUser === '' ? undefined : { user: smtpUser, pass: await secrets.key(SMTP_SECRET) }
    const transport: Transporter = createTransport({
      host: smtpHost,
      port: smtpPort,
      secure: smtpTls === 'required' && smtpPort === 465,
      requireTLS: smtpTls === 'required',
      ignoreTLS: smtpTls === 'none',
      auth,
      connectionTimeout: SEND_MS,
      greetingTimeout: SEND_MS,
      socketTimeout: SEND_MS,
      // what stands in a message is text, never a file of this machine or an address to read from
      disableFileAccess: true,
      disableUrlAccess: true
    })
    const stop = (): void => transport.close()
    signal.addEventListener('abort', stop, { once: true })
    try {
      checkWayOut()
      const letter = compose(message)
      await transport.sendMail({
        ...letter,
        textEncoding: 'base64',
        from: oneLine(smtpFrom),
        to,
        messageId: `<${name}@artel>`
      })
    } catch (error) {
      throw new DeliveryError(`${smtpHost}: ${(error as Error).message}`, { cause: error })
    } finally {
      signal.removeEventListener('abort', stop)
      transport.close()
    }
  }

  async function chat(
    { chat }: Extract<Channel, { kind: 'messenger' }>,
    message: Message,
    name: string,
    signal: AbortSignal
  ): Promise<void> {
    const chats = messenger()
    if (chats == null) throw new DeliveryError('the messenger does not run on this node')
    const { subject, text } = compose(message)
    try {
      // what is written after that is not written twice: it has its name
      const written = chats.write(chat, `${subject}\n${text}`, `watch ${name}`)
      await raceSignal(written, AbortSignal.any([signal, AbortSignal.timeout(SEND_MS)]))
    } catch (error) {
      throw new DeliveryError(`the messenger: ${(error as Error).message}`, { cause: error })
    }
  }

  return async (channel, message, name, signal) => {
    if (channel.kind === 'webhook') return webhook(channel, message, name, signal)
    if (channel.kind === 'email') return email(channel, message, name, signal)
    return chat(channel, message, name, signal)
  }
}

/** `t=<s since 1970>,v1=<hex>`: HMAC-SHA256 over the time, a point, and the body. */
export const signature = (secret: string, time: number, body: string): string =>
  `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`
