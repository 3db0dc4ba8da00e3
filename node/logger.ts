import { inspect } from 'node:util'
import type { ComponentLogger, Logger } from '@libp2p/interface'
import pino from 'pino'
import pretty from 'pino-pretty'
import type { Config } from './settings.ts'

/** One line of another program's text should not fill a screen. */
const MAX_MESSAGE_CHARS = 4_096

/** Logs to standard error (results go to standard output), or into `destination`. */
export function createLogger(
  config: Pick<Config, 'logLevel' | 'logFormat'>,
  destination?: pino.DestinationStream
): pino.Logger {
  const isPretty = config.logFormat === 'pretty' || (config.logFormat === 'auto' && process.stderr.isTTY)
  const options: pino.LoggerOptions = { level: config.logLevel, base: null, hooks: { logMethod: clean } }
  if (destination != null) return pino(options, destination)
  return isPretty
    ? pino(
        options,
        pretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' })
      )
    : pino(options, pino.destination({ dest: 2, sync: true }))
}

/**
 * Gives pino the face of libp2p's logger. Our own components (`artel:…`) log at debug, their errors at warn;
 * those of others one step quieter, because a failed dial is daily business for libp2p.
 */
export function componentLogger(logger: pino.Logger): ComponentLogger {
  return { forComponent: name => scope(logger, name) }
}

function scope(root: pino.Logger, name: string): Logger {
  const logger = root.child({ component: name })
  const isOwn = name.startsWith('artel:')
  const write =
    (level: pino.Level) =>
    (formatter: unknown, ...args: unknown[]) => {
      if (logger.isLevelEnabled(level)) logger[level](format(formatter, args))
    }
  const nothing = () => {}
  return Object.assign(write(isOwn ? 'debug' : 'trace'), {
    error: write(isOwn ? 'warn' : 'debug'),
    trace: isOwn ? write('trace') : nothing,
    enabled: logger.isLevelEnabled(isOwn ? 'debug' : 'trace'),
    newScope: (child: string) => scope(root, `${name}:${child}`)
  })
}

/** The formats of libp2p's logger that differ from `String(value)`: %e error, %o %O %j objects, %% itself. */
function format(formatter: unknown, args: unknown[]): string {
  if (typeof formatter !== 'string') return [formatter, ...args].map(text).join(' ')
  let next = 0
  const message = formatter.replace(/%([a-zA-Z%])/g, (all, kind) => {
    if (kind === '%') return '%'
    return next < args.length ? text(args[next++]) : all
  })
  return [message, ...args.slice(next).map(text)].join(' ')
}

function text(value: unknown): string {
  if (value instanceof Error) return value.stack ?? value.message
  if (value instanceof Uint8Array) return Buffer.from(value.subarray(0, 64)).toString('hex')
  const isPlain = typeof value === 'object' && value !== null && value.toString === Object.prototype.toString
  return isPlain ? inspect(value, { breakLength: Number.POSITIVE_INFINITY }) : String(value)
}

/** What a peer sent must neither start a new line in a log nor steer a terminal. */
export function harmless(message: string): string {
  return (
    message
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to go
      .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, char => {
        return char === '\n' ? '\\n' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
      })
      .slice(0, MAX_MESSAGE_CHARS)
  )
}

function clean(this: pino.Logger, args: Parameters<pino.LogFn>, method: pino.LogFn): void {
  method.apply(
    this,
    args.map(arg => (typeof arg === 'string' ? harmless(arg) : arg)) as Parameters<pino.LogFn>
  )
}
