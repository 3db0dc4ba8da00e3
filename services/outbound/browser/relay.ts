/** What the program behind the walls is told. */
export interface RelayInit {
  /** Chromium, and its arguments */
  program: string
  args: readonly string[]
  /** where the way out is, a socket of the file system */
  gate: string
  /** on loopback of the network behind the walls, where there is nothing else */
  port: number
  maxBytes: number
  /** its exit code when it takes more */
  tooLarge: number
}

/**
 * Runs behind the walls, by its source text (self-contained): carries what Chromium sends to its proxy to the gate, which is
 * all that leads out, and ends with it. What is counted is memory that a page can make grow: the program itself is a file.
 */
export function relay(
  require: (name: string) => unknown,
  { program, args, gate, port, maxBytes, tooLarge }: RelayInit
): void {
  const net = require('node:net') as typeof import('node:net')
  const fs = require('node:fs') as typeof import('node:fs')
  const { spawn } = require('node:child_process') as typeof import('node:child_process')
  const LOOK_MS = 100
  const KIB = 1024

  const server = net.createServer(from => {
    const to = net.connect(gate)
    from.pipe(to).pipe(from)
    for (const [one, other] of [
      [from, to],
      [to, from]
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
  })
  server.listen(port, '127.0.0.1', () => {
    const browser = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 3, 4] })
    browser.on('error', error => {
      fs.writeSync(2, `${program}: ${error.message}\n`)
      process.exit(1)
    })
    browser.on('exit', code => process.exit(code ?? 1))
    setInterval(() => {
      if (taken() > maxBytes) process.exit(tooLarge)
    }, LOOK_MS)
  })

  /** Of all processes here. */
  function taken(): number {
    let sum = 0
    for (const pid of fs.readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue
      let status: string
      try {
        status = fs.readFileSync(`/proc/${pid}/status`, 'latin1')
      } catch {
        continue // it has ended
      }
      for (const [, kib] of status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+)/gm)) sum += KIB * Number(kib)
    }
    return sum
  }
}
