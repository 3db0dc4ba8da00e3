import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { descendants, statusOf } from './processes.ts'

/** Things on this machine that a task must not reach, and a look at whether one did. */
export interface Canary {
  /** where they are, for tasks that try: given to them as `context` */
  readonly bait: { file: string; folder: string; port: number; variable: string }
  /** what was tripped since the last look; `seen` is everything that came out of the task */
  trips(seen: string): string[]
  close(): Promise<void>
}

const SECRET = 'canary-c9f3a1'
const ALLOWED_PROCESSES = /^(node|MainThread|bwrap|prlimit|setpriv)$/

/** Lays out a file, an environment variable and a listening port on loopback. */
export async function createCanary(): Promise<Canary> {
  const folder = mkdtempSync(join(tmpdir(), 'artel-canary-'))
  const file = join(folder, 'secret')
  writeFileSync(file, SECRET)
  const variable = 'ARTEL_CANARY'
  process.env[variable] = SECRET
  let connections = 0
  const server = createServer(socket => {
    connections++
    socket.destroy()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    bait: { file, folder, port: (server.address() as AddressInfo).port, variable },
    trips(seen) {
      const trips: string[] = []
      if (!existsSync(file) || readFileSync(file, 'utf8') !== SECRET) trips.push('the file was changed')
      if (readdirSync(folder).length !== 1) trips.push('a file was made')
      if (connections > 0) trips.push('the port was reached')
      if (seen.includes(SECRET)) trips.push('the secret came out')
      for (const pid of descendants(process.pid)) {
        const name = statusOf(pid, 'Name')
        if (name !== undefined && !ALLOWED_PROCESSES.test(name)) trips.push(`a process was started: ${name}`)
      }
      connections = 0
      return trips
    },
    async close() {
      delete process.env[variable]
      rmSync(folder, { recursive: true })
      await new Promise(resolve => server.close(resolve))
    }
  }
}
