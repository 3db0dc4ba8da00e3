import { Presets, SingleBar } from 'cli-progress'
import type { Progress } from '../../scheduler/index.ts'
import type { Plain } from '../operations.ts'

/** Without a terminal: one line per tenth of the job, so that a log stays short. */
const PLAIN_STEPS = 10

export interface ProgressView {
  update(progress: Plain<Progress>): void
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
      format: '{bar} {percentage} % · {value}/{total} · {workers} workers · {state}',
      hideCursor: true
    },
    Presets.shades_classic
  )
  let isStarted = false
  return {
    update({ done, total, workers, state }) {
      if (!isStarted) single.start(total, done, { workers, state })
      isStarted = true
      single.setTotal(total)
      single.update(done, { workers, state })
    },
    end() {
      if (isStarted) single.stop()
    }
  }
}

function lines(stream: NodeJS.WriteStream): ProgressView {
  let last = ''
  return {
    update({ job, done, total, workers, state }) {
      const step = total === 0 ? 0 : Math.floor((done / total) * PLAIN_STEPS)
      const key = `${state} ${step} ${workers > 0}`
      if (key === last) return
      last = key
      const percent = total === 0 ? 0 : Math.floor((done / total) * 100)
      stream.write(`${job}: ${state}, ${percent} % (${done}/${total}), ${workers} workers\n`)
    },
    end() {}
  }
}
