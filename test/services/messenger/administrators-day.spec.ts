import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { Processes } from '../../node/processes.ts'

const OTHERS_READ = 0o644

/** The table of what an administrator does, by command; the same by page: `page.spec`. */
describe('messenger: the administrator’s day', function () {
  this.timeout(300_000)
  let processes: Processes
  before(async () => {
    processes = await Processes.create()
    await processes.start('seed', 'desk', ['--compute', 'false', '--messenger-enabled']).ready
    await artel('messenger', 'found', 'School 7', 'Anna Petrova')
  })
  after(() => processes?.stop())

  async function artel(...args: string[]): Promise<{ code: number | null; said: any }> {
    const { code, stdout, stderr } = await processes.run([
      ...args,
      '--json',
      '--data',
      processes.path('desk')
    ])
    assert.ok(code === 0 || stdout !== '', `${args.join(' ')}: ${stderr}`)
    return { code, said: JSON.parse(stdout) }
  }
  const messenger = (...args: string[]) => artel('messenger', ...args)
  /** As somebody types it who was told it. */
  const typed = (command: string) => {
    const [program, ...args] = command.match(/"[^"]*"|\S+/g)!.map(each => each.replaceAll('"', ''))
    assert.equal(program, 'artel')
    return artel(...args)
  }
  const stateOf = ({ said }: { said: any }, name: string): string =>
    said.items.find((each: any) => each.name === name).state
  const remedyOf = ({ said }: { said: any }, name: string): string =>
    said.items.find((each: any) => each.name === name).remedy

  it('begins with what is not done yet, and ends with nothing that fails', async () => {
    const [morning, health] = await Promise.all([messenger('check', 'weekly'), messenger('health')])
    assert.equal(morning.code, 1)
    assert.deepEqual([stateOf(morning, 'backup'), stateOf(morning, 'cleanup')], ['fail', 'warn'])
    assert.deepEqual(
      health.said.items.map(({ name }: any) => name),
      ['cpu', 'memory', 'diskFree', 'databaseBytes', 'answerMs', 'sockets']
    )
    assert.deepEqual((await messenger('backups')).said.items, [])
    await typed(remedyOf(morning, 'backup').replace(' makes one', ' --full'))
    await typed(remedyOf(morning, 'cleanup').replace(' does it', ''))
    const [evening, daily] = await Promise.all([messenger('check', 'weekly'), messenger('check', 'daily')])
    assert.equal(evening.code, 0)
    for (const name of ['backup', 'cleanup', 'integrity']) assert.equal(stateOf(evening, name), 'ok', name)
    assert.equal(stateOf(daily, 'backup'), 'ok')
  })

  it('a message that is damaged on the disk is found, and comes back from the backup of this hour', async () => {
    const chat = (await messenger('create-chat', '--title', 'notes')).said.id
    const { id } = (await messenger('send', chat, 'the canary sings')).said
    const backup = (await messenger('backup')).said.id
    const file = join(processes.path('desk'), 'services', 'messenger', 'messenger.sqlite')
    const harm = new DatabaseSync(file)
    harm.prepare(`UPDATE event SET bytes = CAST('damaged' AS BLOB) WHERE id = ?`).run(id)
    harm.close()
    const damaged = await messenger('verify')
    assert.deepEqual([damaged.code, stateOf(damaged, 'events')], [1, 'fail'])
    const [command = ''] = /artel messenger restore ID/.exec(remedyOf(damaged, 'events')) ?? []
    assert.equal((await typed(command.replace('ID', backup))).said.events, 1)
    assert.equal((await messenger('verify', '--full')).code, 0)
    assert.match(JSON.stringify((await messenger('read', chat)).said), /the canary sings/)
  })

  it('a key that others may read is found by the audit, and its remedy closes it', async () => {
    const key = join(processes.path('desk'), 'services', 'messenger', 'device.key')
    await chmod(key, OTHERS_READ)
    const open = await messenger('audit')
    assert.deepEqual([open.code, stateOf(open, 'files')], [1, 'fail'])
    await promisify(execFile)('sh', ['-c', remedyOf(open, 'files')])
    const closed = await messenger('audit')
    assert.deepEqual([closed.code, stateOf(closed, 'files')], [0, 'ok'])
  })

  it('an account that was taken over is disabled by the steps of the incident, within its hours', async () => {
    await messenger('add-user', 'kim', 'Kim Lee', '--role', 'teacher')
    const isDisabled = async (): Promise<boolean | undefined> =>
      (await messenger('users')).said.items.find((each: any) => each.id === 'kim').isDisabled
    assert.notEqual(await isDisabled(), true)
    const { said } = await messenger('incident', 'account', '--user', 'kim')
    assert.ok(said.until > Date.now() && said.until <= Date.now() + 2 * 3_600_000)
    await typed(said.steps.find(({ command }: any) => command?.includes('--is-disabled')).command)
    assert.equal(await isDisabled(), true)
  })

  it('logs tell more for a while; statistics and a request for help have what there is', async () => {
    const tells = async (): Promise<boolean> =>
      (await messenger('log', 'server')).said.lines.some((each: string) =>
        / INFO stats \d+ ms by /.test(each)
      )
    const messages = async (): Promise<number> => (await messenger('stats')).said.months.at(-1)?.messages ?? 0
    const before = await messages()
    assert.equal(await tells(), false)
    const chat = (await messenger('create-chat', '--title', 'counted')).said.id
    await messenger('send', chat, 'one more')
    assert.ok((await messenger('level', 'debug', '--minutes', '5')).said.until > Date.now())
    assert.equal(await messages(), before + 1)
    assert.equal(await tells(), true)
    const [diagnosed, ticket] = await Promise.all([messenger('diagnose'), messenger('ticket', 'It is slow')])
    assert.equal(stateOf(diagnosed, 'mailboxes'), 'ok')
    assert.match(ticket.said.text, /^Subject: \[PROBLEM\] It is slow\n(.*\n)*What diagnose says:\n- /)
  })
})
