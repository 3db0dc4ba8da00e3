import { Presets, SingleBar } from 'cli-progress'
import type { Progress } from '../../scheduler/index.ts'
import { harmless } from '../logger.ts'
import { compact, credits, duration } from './output.ts'

/** Without a terminal: one line per tenth of the job, so that a log stays short. */
const PLAIN_STEPS = 10

export interface ProgressView {
  update(progress: Progress): void
  end(): void
}

/** A bar on a terminal, plain lines otherwise; always on standard error, the result has standard output. */
export function createProgress(stream: NodeJS.WriteStream = process.stderr): ProgressView {
  return stream.isTTY ? bar(stream) : lines(stream)
}

function bar(stream: NodeJS.WriteStream): ProgressView {
  const single = new SingleBar(
    {
      stream,
      format: (options, { progress }, { text }) => {
        const size = Math.max(0, Math.min(BAR_CHARS, (stream.columns ?? 80) - String(text).length - 1))
        const full = Math.round(Math.min(1, progress) * size)
        const { barCompleteString = '', barIncompleteString = '' } = options
        return `${barCompleteString.slice(0, full)}${barIncompleteString.slice(0, size - full)} ${text}`
      },
      barsize: BAR_CHARS,
      linewrap: false,
      hideCursor: true
    },
    Presets.shades_classic
  )
  let isStarted = false
  return {
    update(progress) {
      const text = describe(progress)
      if (!isStarted) single.start(progress.total, progress.done, { text })
      isStarted = true
      single.setTotal(progress.total)
      single.update(progress.done, { text })
    },
    end() {
      if (isStarted) single.stop()
    }
  }
}

const BAR_CHARS = 30

function lines(stream: NodeJS.WriteStream): ProgressView {
  let last = ''
  return {
    update(progress) {
      const { job, done, total, workers, state } = progress
      const step = total === 0 ? 0 : Math.floor((done / total) * PLAIN_STEPS)
      const key = `${state} ${step} ${progress.waiting?.message ?? workers > 0}`
      if (key === last) return
      last = key
      stream.write(`${job}: ${state}, ${describe(progress)}\n`)
    },
    end() {}
  }
}

export interface StatusLine {
  update(status: { done: number; read: number; workers: number; paid: bigint; elapsedMs: number }): void
  end(): void
}

/** How far a stream without a known end is. Only on a terminal, and not in between results on the same one. */
export function createStatusLine(isQuiet: boolean, stream: NodeJS.WriteStream = process.stderr): StatusLine {
  const isShown = stream.isTTY && !process.stdout.isTTY && !isQuiet
  let shown = 0
  return {
    update({ done, read, workers, paid, elapsedMs }) {
      if (!isShown || elapsedMs - shown < STATUS_INTERVAL_MS) return
      shown = elapsedMs
      const parts = [
        `${compact(done)} lines done`,
        `${compact(read - done)} at work`,
        `${compact((done * 1000) / Math.max(1, elapsedMs))}/s`,
        plural(workers),
        `${credits(paid)} credits`
      ]
      stream.write(`\r\x1b[K${parts.join(', ').slice(0, (stream.columns ?? 80) - 1)}`)
    },
    end() {
      if (shown > 0) stream.write('\r\x1b[K')
    }
  }
}

// A person's eye takes no more.
const STATUS_INTERVAL_MS = 100

const plural = (workers: number): string => (workers === 1 ? '1 worker' : `${workers} workers`)

/** What a person wants to know while he waits, in one line. */
export function describe(progress: Progress): string {
  const { done, total, workers, elapsedMs, remainingMs, paid, waiting } = progress
  const percent = total === 0 ? 0 : Math.floor((done / total) * 100)
  const isRunning = done > 0 && done < total
  return [
    `${percent} % (${compact(done)}/${compact(total)})`,
    ...(isRunning ? [`${compact((done * 1000) / Math.max(1, elapsedMs))}/s`] : []),
    ...(isRunning && remainingMs != null ? [`${duration(remainingMs)} left`] : []),
    ...(done === total
      ? []
      : [
          (waiting && harmless(waiting.message)) ?? (workers === 0 ? 'waiting for a worker' : plural(workers))
        ]),
    `${credits(paid)} credits`
  ].join(', ')
}
