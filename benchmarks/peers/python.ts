import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { check, type PeerKind } from './contract.ts'
import { createStage, versionOf } from './processes.ts'

// Debian's, which is the one that its packages belong to.
export const PYTHON = '/usr/bin/python3'
const SCRIPT = fileURLToPath(new URL('peers.py', import.meta.url))

/** Starts `peers.py MODE` and gives a function that asks it one thing at a time, JSON lines both ways. */
export async function startPython(mode: string, environment: Record<string, string> = {}) {
  const stage = await createStage()
  const child = spawn(PYTHON, [SCRIPT, mode], {
    cwd: stage.folder,
    env: { PATH: '/usr/bin:/bin', HOME: stage.folder, ...environment },
    stdio: ['pipe', 'pipe', 'ignore']
  })
  stage.own(child)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async <T>(): Promise<T> => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`peers.py ${mode} ended; try it: ${PYTHON} ${SCRIPT} ${mode}`)
    return JSON.parse(value)
  }
  await next().catch(async error => {
    await stage.stop()
    throw error
  })
  return {
    ask<T>(question: object): Promise<T> {
      child.stdin.write(`${JSON.stringify(question)}\n`)
      return next<T>()
    },
    stop: stage.stop
  }
}

export const dask: PeerKind = {
  name: 'dask',
  get: 'apt-get install python3-distributed',
  tasks: 2000,
  version: () => versionOf(PYTHON, '-c', 'import distributed; print(distributed.__version__)'),
  async start() {
    const { ask, stop } = await startPython('dask')
    return {
      async throughput(tasks) {
        const { ms, results } = await ask<{ ms: number; results: number[] }>({ run: 'throughput', tasks })
        check(results)
        return ms
      },
      latencies: tasks => ask<number[]>({ run: 'latencies', tasks }),
      [Symbol.asyncDispose]: stop
    }
  }
}
