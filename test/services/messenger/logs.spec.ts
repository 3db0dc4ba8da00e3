import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogs } from '../../../services/messenger/admin/logs.ts'
import { PolicyError } from '../../../services/messenger/errors.ts'

describe('messenger: logs', () => {
  let folder = ''
  let now = 0
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-logs-'))
    now = new Date(2026, 0, 31, 12).getTime()
  })
  afterEach(() => rm(folder, { recursive: true }))
  /** A file has the time of the clock here. */
  const date = (name: string): Promise<void> => utimes(join(folder, 'logs', name), now / 1000, now / 1000)
  const asked = { operation: 'send', isRead: false, by: 'owner', ms: 12.3 }

  it('tell what was asked, what is refused and what fails, and of what only looks for as long as wished', async () => {
    const logs = createLogs(folder, () => now)
    assert.deepEqual(await logs.tail('server', 10), [])
    logs.asked(asked)
    logs.asked({ ...asked, operation: 'messages', isRead: true })
    logs.asked({ ...asked, error: new PolicyError('the text of a message') })
    logs.asked({ ...asked, error: new TypeError('x is not a function') })
    logs.asked({
      ...asked,
      error: Object.assign(new Error('database is locked'), { code: 'ERR_SQLITE_ERROR' })
    })
    assert.equal(logs.setLevel('debug', 60_000), now + 60_000)
    logs.asked({ ...asked, operation: 'messages', isRead: true })
    now += 60_000
    logs.asked({ ...asked, operation: 'messages', isRead: true })
    const told = (await logs.tail('server', 10)).map(line => line.slice(line.indexOf(' ') + 1))
    const line = 'INFO send 12 ms by owner'
    assert.deepEqual(told, [
      line,
      `${line} PolicyError`,
      `${line} TypeError`,
      `${line} Error`,
      'INFO messages 12 ms by owner'
    ])
    assert.match((await logs.tail('error', 50)).join(), /TypeError: x is not a function.*logs\.spec/)
    assert.match((await logs.tail('database', 10)).join(), /WARNING send: database is locked$/)
    assert.equal((await logs.tail('server', 2)).length, 2)
  })

  it('are read from their end, however long they are', async () => {
    const logs = createLogs(folder, () => now)
    logs.asked(asked)
    const line = `${'ж'.repeat(1000)}\n`
    await appendFile(join(folder, 'logs', 'server.log'), line.repeat(1000))
    const lines = await logs.tail('server', 10_000)
    assert.ok(lines.length > 400 && lines.length < 600, String(lines.length))
    assert.deepEqual([...new Set(lines)], [line.trimEnd()])
  })

  it('begin anew with the month; old ones go after 30 days', async () => {
    const logs = createLogs(folder, () => now)
    logs.asked(asked)
    await date('server.log')
    now = new Date(2026, 1, 1, 12).getTime()
    logs.asked({ ...asked, operation: 'edit' })
    await date('server.log')
    assert.deepEqual((await readdir(join(folder, 'logs'))).sort(), ['server-2026-01.log', 'server.log'])
    assert.match((await logs.tail('server', 10)).join(), /^\S+ INFO edit/)
    now = new Date(2026, 1, 28, 12).getTime()
    assert.equal(await logs.dropOld(), 0)
    now = new Date(2026, 2, 3, 12).getTime()
    assert.equal(await logs.dropOld(), 1)
    assert.deepEqual(await readdir(join(folder, 'logs')), ['server.log'])
  })

  it('of who follows begin anew with the week', async () => {
    const logs = createLogs(folder, () => now)
    // a Sunday
    now = Date.UTC(2026, 1, 1, 12)
    logs.socket('opened by Anna from 10.0.0.7, 1 open')
    await date('websocket.log')
    now = Date.UTC(2026, 1, 2, 12)
    logs.socket('closed by Anna from 10.0.0.7, 0 open')
    assert.deepEqual((await readdir(join(folder, 'logs'))).sort(), [
      'websocket-2026-01-26.log',
      'websocket.log'
    ])
    assert.match(
      (await logs.tail('websocket', 10)).join(),
      /^\S+ INFO closed by Anna from 10\.0\.0\.7, 0 open$/
    )
    now = Date.UTC(2026, 2, 4, 12)
    assert.equal(await logs.dropOld(), 1)
  })

  it('say whence sign-ins failed in the last 30 days, also in the month before', async () => {
    const logs = createLogs(folder, () => now)
    now = Date.UTC(2026, 0, 2)
    logs.failedSignIns(1000, '10.0.0.9')
    now = Date.UTC(2026, 0, 20)
    logs.failedSignIns(3, '10.0.0.7 as Anna')
    await date('server.log')
    now = Date.UTC(2026, 1, 5)
    logs.asked(asked)
    logs.failedSignIns(2, '10.0.0.7 as Anna')
    logs.failedSignIns(1, '10.0.0.8')
    assert.deepEqual(
      [...(await logs.failures())],
      [
        ['10.0.0.7 as Anna', 5],
        ['10.0.0.8', 1]
      ]
    )
  })

  it('have a report each morning from eight on, also where eight was missed', async () => {
    const logs = createLogs(folder, () => now)
    now = new Date(2026, 0, 31, 7).getTime()
    assert.equal(await logs.isReportDue(), false)
    now = new Date(2026, 0, 31, 11).getTime()
    assert.equal(await logs.isReportDue(), true)
    logs.report(['ok server: fine', 'fail backup: none'])
    await date('report.log')
    assert.equal(await logs.isReportDue(), false)
    assert.deepEqual(await logs.tail('report', 2), ['  ok server: fine', '  fail backup: none'])
    now = new Date(2026, 1, 1, 7).getTime()
    assert.equal(await logs.isReportDue(), false)
    now = new Date(2026, 1, 1, 8).getTime()
    assert.equal(await logs.isReportDue(), true)
  })
})
