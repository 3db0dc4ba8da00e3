import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, existsSync, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const OPEN_MS = 60_000

/** A pseudo terminal at `path`, whose other end is a wire in the network. It stays while nobody has it open. */
export async function openPty(path: string, port: number): Promise<AsyncDisposable> {
  const socat: ChildProcess = spawn('socat', [`PTY,rawer,link=${path}`, `TCP:127.0.0.1:${port},nodelay`], {
    stdio: ['ignore', 'ignore', 'inherit']
  })
  const ended = once(socat, 'close')
  const end = Date.now() + OPEN_MS
  while (!existsSync(path)) {
    if (socat.exitCode != null || Date.now() > end)
      throw new Error(`there is no ${path}; is socat installed?`)
    await delay(20)
  }
  const held = openSync(path, constants.O_RDWR | constants.O_NOCTTY)
  return {
    async [Symbol.asyncDispose]() {
      closeSync(held)
      socat.kill('SIGTERM')
      await ended
    }
  }
}
