import { closeSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname } from 'node:path'
import { inspect } from 'node:util'
import type { ComponentLogger, Logger } from '@libp2p/interface'
import pino from 'pino'
import { createStream } from 'rotating-file-stream'
import { ConfigError } from './errors.ts'
import type { Config } from './settings.ts'

/** What peers say to this node is its owner's business. */
const LOG_MODE = 0o600
/** One line of another program's text should not fill a screen. */
const MAX_MESSAGE_CHARS = 4_096

type LogConfig = Pick<Config, 'logLevel' | 'logFormat' | 'logFile' | 'logFileMb' | 'logFiles'>

/** A place for logs; `end` resolves when what was said is in the file. */
export interface LogFile extends pino.DestinationStream {
  end(): Promise<void>
}

/**
 * The file of `logFile` (0600), or undefined where nothing names one. It begins anew when it is full and every day;
 * what is older than the last `logFiles` is gone. What cannot be written is told on standard error, and nothing fails.
 *
 * @throws {ConfigError} the file cannot be written
 */
export function openLogFile({ logFile, logFileMb, logFiles }: LogConfig): LogFile | undefined {
  if (logFile == null) return undefined
  try {
    closeSync(openSync(logFile, 'a', LOG_MODE))
  } catch (error) {
    throw new ConfigError(`logFile: cannot write to ${logFile}: ${(error as Error).message}`)
  }
  const stream = createStream(basename(logFile), {
    path: dirname(logFile),
    mode: LOG_MODE,
    size: `${logFileMb}M`,
    interval: '1d',
    intervalBoundary: true,
    initialRotation: true,
    rotate: logFiles
  })
  const complain = (error: Error): void =>
    void process.stderr.write(`artel: the log file ${logFile}: ${error.message}\n`)
  stream.on('error', complain)
  stream.on('warning', complain)
  return {
    write: line => void stream.write(line),
    end: () => new Promise(resolve => stream.end(() => resolve()))
  }
}

/** Logs into `destination`, or to standard error: results go to standard output. */
export function createLogger(
  config: Pick<Config, 'logLevel' | 'logFormat'>,
  destination?: pino.DestinationStream
): pino.Logger {
  const isPretty = config.logFormat === 'pretty' || (config.logFormat === 'auto' && process.stderr.isTTY)
  const options: pino.LoggerOptions = { level: config.logLevel, base: null, hooks: { logMethod: clean } }
  if (destination != null) return pino(options, destination)
  if (!isPretty) return pino(options, pino.destination({ dest: 2, sync: true }))
  // read where a person looks: a node beside machines has nobody
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty')
  return pino(
    options,
    pretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' })
  )
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
