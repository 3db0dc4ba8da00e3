import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Postgres {
  settings: { host: string; port: number; user: string; password: string; database: string }
  /** what the programs read */
  environment: Record<string, string>
  query(sql: string): Promise<string>
  /** Ends the server, and starts it over the same data. */
  down(): Promise<void>
  up(): Promise<void>
  stop(): Promise<void>
}

/** A PostgreSQL server of its own, on a Unix socket in a folder of its own, as a user that is not root. */
export async function startPostgres(): Promise<Postgres> {
  const [version] = (await readdir('/usr/lib/postgresql')).sort((a, b) => Number(b) - Number(a))
  const bin = (program: string) => join('/usr/lib/postgresql', version!, 'bin', program)
  const folder = await mkdtemp(join(tmpdir(), 'artel-pg-'))
  const isRoot = process.getuid!() === 0
  const as = isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--'] : []
  if (isRoot) await run('chown', ['postgres:postgres', folder])
  await chmod(folder, 0o700)
  const start = (program: string, ...args: string[]) =>
    [...as, bin(program), ...args] as [string, ...string[]]
  const [initdb, ...initArgs] = start(
    'initdb',
    '-D',
    `${folder}/data`,
    '-U',
    'artel',
    '-A',
    'trust',
    '--no-sync',
    '-E',
    'UTF8',
    '--locale=C'
  )
  await run(initdb, initArgs, { cwd: folder })
  const [server, ...args] = start(
    'postgres',
    '-D',
    `${folder}/data`,
    '-k',
    folder,
    '-c',
    'listen_addresses=',
    '-c',
    'shared_buffers=16MB'
  )
  let ended: Promise<unknown> | undefined
  let child: ChildProcess
  const psql = (sql: string) =>
    run('psql', ['-h', folder, '-U', 'artel', '-d', 'postgres', '-Atc', sql]).then(({ stdout }) => stdout)
  async function up() {
    if (ended !== undefined) return
    child = spawn(server, args, { cwd: folder, stdio: 'ignore' })
    ended = once(child, 'close')
    const deadline = Date.now() + 120_000
    while (!existsSync(`${folder}/.s.PGSQL.5432`) || !(await psql('SELECT 1').catch(() => ''))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error('PostgreSQL did not start')
    }
  }
  async function down() {
    if (ended === undefined) return
    child.kill('SIGINT')
    await ended
    ended = undefined
  }
  await up()
  const settings = { host: folder, port: 5432, user: 'artel', password: '', database: 'postgres' }
  return {
    settings,
    environment: { DB_HOST: folder, DB_PORT: '5432', DB_USER: 'artel', DB_PASSWORD: '', DB_NAME: 'postgres' },
    query: psql,
    down,
    up,
    async stop() {
      await down()
      await rm(folder, { recursive: true, force: true })
    }
  }
}
