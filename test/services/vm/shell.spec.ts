import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { complete } from '../../../services/vm/shell/complete.ts'
import { runConsole } from '../../../services/vm/shell/run-console.ts'
import { Processes } from '../../node/processes.ts'
import { COMMANDS, GUIDE } from './guide.ts'
import { until } from './machines-host.ts'

const ARTEL = fileURLToPath(new URL('../../../node/cli/artel.js', import.meta.url))
const ANSWER_MS = 240_000

/** The command behind a terminal of its own, which `script` makes. */
class Terminal {
  readonly #child: ChildProcess
  #seen = ''
  #from = 0

  constructor(folder: string, args: string[], environment: Record<string, string> = {}) {
    const { PATH, NODE_COMPILE_CACHE } = process.env
    const command = [process.execPath, ARTEL, ...args].map(word => `'${word}'`).join(' ')
    this.#child = spawn('script', ['-qefc', command, '/dev/null'], {
      env: { PATH, NODE_COMPILE_CACHE, HOME: folder, TERM: 'xterm', ...environment }
    })
    this.#child.stdout!.on('data', data => {
      this.#seen += data
    })
  }

  /** What was shown since the last time, as soon as it ends so. */
  async shown(end: string): Promise<string> {
    const now = (): string => stripVTControlCharacters(this.#seen.slice(this.#from)).replaceAll('\r', '')
    await until(() => now().endsWith(end), `${JSON.stringify(end)} on the terminal`, ANSWER_MS).catch(
      error => {
        throw new Error(`${error.message}; shown: ${JSON.stringify(now())}`)
      }
    )
    const shown = now()
    this.#from = this.#seen.length
    return shown.slice(0, -end.length)
  }

  keys(text: string): void {
    this.#child.stdin!.write(text)
  }

  /** Types a line and gives what came before the next prompt, without the echo. */
  async line(text: string): Promise<string> {
    this.keys(`${text}\r`)
    const shown = await this.shown('vm> ')
    return shown.slice(shown.indexOf('\n') + 1).trimEnd()
  }

  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'close')
    return this.#child.exitCode
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

describe('vm: prompt', () => {
  let processes: Processes
  let terminal: Terminal
  const data = (): string[] => ['--data', processes.path('a')]

  before(async () => {
    processes = await Processes.create()
    await processes.start('seed', 'a', ['--compute', 'false', '--vm-enabled', 'true']).ready
  })
  after(() => processes.stop())
  afterEach(() => terminal?.kill())

  async function open(environment?: Record<string, string>): Promise<void> {
    terminal = new Terminal(processes.folder, ['vm', 'shell', ...data()], environment)
    await terminal.shown('vm> ')
  }
  const pipe = (input: string) => processes.run(['vm', 'shell', ...data()], { input })

  it('gives what a reader of the guide expects, typed in, and asks before a machine is removed', async () => {
    await open()
    for (const [line, answer] of GUIDE) {
      if (!line.startsWith('REMOVE_VM')) {
        assert.equal(await terminal.line(line), answer)
        continue
      }
      terminal.keys(`${line}\r`)
      await terminal.shown('Remove machine vm3 and its disks? [y/N] ')
      assert.equal(await terminal.line('n'), 'nothing was removed')
      terminal.keys(`${line}\r`)
      await terminal.shown('[y/N] ')
      // Ctrl-C is a no as well
      terminal.keys('\x03')
      assert.match(await terminal.shown('vm> '), /nothing was removed/)
      assert.match(await terminal.line('LIST_VMS'), /^OK 3 machines/)
      terminal.keys(`${line}\r`)
      await terminal.shown('[y/N] ')
      assert.equal(await terminal.line('y'), answer)
    }
    terminal.keys('exit\r')
    assert.equal(await terminal.ended(), 0)
  })

  it('takes all lines of a text that is pasted at once', async () => {
    await open()
    terminal.keys('ADD_VM p1 64 1\rADD_VM p2 64 1\rREMOVE_VM p2\rREMOVE_VM p1 --yes\r')
    await terminal.shown('[y/N] ')
    terminal.keys('yes\r')
    const shown = await terminal.shown('OK p1 removed; kept for 7 days\nvm> ')
    assert.match(shown, /OK p2 removed/)
  })

  it('completes commands and ids with Tab, explains, forgets a line with Ctrl-C, ends with Ctrl-D', async () => {
    await open()
    terminal.keys('log\t')
    await terminal.shown('LOGOUT ')
    terminal.keys('vm2\r')
    assert.match(await terminal.shown('vm> '), /OK vm2 logged out/)
    // it is the only one that begins so
    terminal.keys('remove_disk disk2\t')
    await terminal.shown('disk2 ')
    terminal.keys('\x03')
    await terminal.shown('vm> ')
    terminal.keys('\x03')
    assert.match(await terminal.shown('vm> '), /Ctrl-D or EXIT leaves/)
    const help = await terminal.line('help')
    for (const command of COMMANDS) {
      assert.match(help, new RegExp(`^  ${command} `, 'm'))
      assert.match(await terminal.line(`help ${command}`), new RegExp(`^OK ${command}`))
    }
    assert.match(await terminal.line('LIST_DISKS'), /disk2/)
    terminal.keys('\x04')
    assert.equal(await terminal.ended(), 0)
  })

  it('speaks Russian, and remembers what was typed to the next time in a file of its owner', async () => {
    await open({ LANG: 'ru_RU.UTF-8' })
    assert.match(await terminal.line('help LOGOUT'), /снимает авторизацию/)
    await terminal.line('ADD_VM h1 64 1')
    terminal.keys('REMOVE_VM h1\r')
    await terminal.shown('Удалить машину h1 и её диски? [y/N] ')
    assert.match(await terminal.line('да'), /^OK h1 removed/)
    terminal.keys('\x04')
    await terminal.ended()
    await open()
    terminal.keys('\x1b[A\x1b[A')
    await terminal.shown('ADD_VM h1 64 1')
    const file = `${processes.path('a')}/services/vm/shell-history`
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.match(await readFile(file, 'utf8'), /^help LOGOUT\nADD_VM h1 64 1\nREMOVE_VM h1\n$/m)
  })

  it('takes lines out of a pipe and ends with the worst code; so does exec', async () => {
    const fine = await pipe('LIST_AUTH_VMS\n\nHELP AUTH')
    assert.deepEqual([fine.code, fine.stderr], [0, ''])
    assert.match(fine.stdout, /^OK 1 machine\nvm1: .*\nOK AUTH <vm_id> <ram> <cpu>: .*\n$/)
    const worst = await pipe('FLY\nLIST_DISKS\nREMOVE_VM vm1\nLOGOUT nobody\nEXIT\nADD_VM never 64 1\n')
    assert.equal(worst.code, 2)
    assert.deepEqual(worst.stdout.match(/^(OK|ERR \w+)/gm), [
      'ERR UsageError',
      'OK',
      'ERR UsageError',
      'ERR NotFoundError'
    ])
    assert.doesNotMatch((await pipe('LIST_VMS')).stdout, /never/)
    // no buffer of 100 bytes: a long line is whole or refused
    assert.match((await pipe(`HELP${' '.repeat(4_000)}AUTH`)).stdout, /^OK AUTH/)
    assert.match(
      (await pipe(`HELP ${'x'.repeat(10_000_000)}`)).stdout,
      /^ERR UsageError the line has 10000005 bytes/
    )
    for (const [line, code] of [
      ['LIST_VMS', 0],
      ['AUTH vm1 -1 2', 2]
    ] as const)
      assert.equal((await processes.run(['vm', 'exec', line, ...data()])).code, code)
  })

  it('is the console of a machine, byte by byte, until Ctrl-]', async () => {
    const [input, output] = [new PassThrough(), new PassThrough()]
    const modes: boolean[] = []
    const shown: Buffer[] = []
    output.on('data', data => shown.push(data))
    const screen = () => Buffer.concat(shown).toString()
    let port = Buffer.from('login: ')
    // a guest that echoes in capital letters
    const call = async (asked: { input?: string; after: number; waitMs?: number }, signal: AbortSignal) => {
      if (asked.input !== undefined) port = Buffer.concat([port, Buffer.from(asked.input.toUpperCase())])
      for (let left = asked.waitMs ?? 0; left > 0 && port.length === asked.after; left -= 10)
        await wait(10, undefined, { signal })
      return { at: port.length, text: port.subarray(asked.after).toString('latin1') }
    }
    const keyboard = Object.assign(input, { isTTY: true, setRawMode: (isRaw: boolean) => modes.push(isRaw) })
    const ended = runConsole(
      { input: keyboard, output, historyFile: '', environment: {}, signal: AbortSignal.timeout(120_000) },
      call as never
    )
    await until(() => screen().includes('login: '), 'what stood there', ANSWER_MS)
    // a character that is cut in two, and keys that steer terminals
    input.write(Buffer.from('h\x03\xc3', 'latin1'))
    input.write(Buffer.from('\xa4llo', 'latin1'))
    await until(() => screen().includes('login: H\x03ÄLLO'), 'the echo', ANSWER_MS)
    input.write('bye\x1dnot for the guest')
    assert.equal(await ended, 0)
    assert.deepEqual(modes, [true, false])
    assert.equal(port.toString(), 'login: H\x03ÄLLOBYE')

    terminal = new Terminal(processes.folder, ['vm', 'console', 'vm2', ...data()])
    await terminal.shown('Ctrl-] leaves.\n')
    terminal.keys('\x1d')
    assert.equal(await terminal.ended(), 0)
  })

  it('completes only what is there', () => {
    const names = { machines: ['vm1', 'vm2', 'web'], disks: ['disk1'] }
    const hits = (line: string): string[] => complete(line, names)[0].map(hit => hit.trimEnd())
    assert.deepEqual(hits('li'), ['LIST_VMS', 'LIST_AUTH_VMS', 'LIST_DISKS'])
    assert.deepEqual(hits('UPDATE_VM v'), ['vm1', 'vm2'])
    assert.deepEqual(hits('ADD_DISK new w'), ['web'])
    assert.deepEqual(hits('REMOVE_DISK '), ['disk1'])
    for (const line of ['ADD_DISK ', 'AUTH vm1 ', 'UPDATE_VM V', 'LIST_VMS ', 'FLY v'])
      assert.deepEqual(hits(line), [])
  })
})
