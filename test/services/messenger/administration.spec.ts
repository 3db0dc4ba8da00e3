import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { createAlarm } from '../../../services/messenger/admin/alarm.ts'
import type { Backup, Finding } from '../../../services/messenger/admin/declared.ts'
import { daily, incident, ticket, weekly } from '../../../services/messenger/admin/guidance.ts'
import { isDue, isNewWeek, keptOf } from '../../../services/messenger/admin/keep.ts'
import { judge, p95 } from '../../../services/messenger/admin/thresholds.ts'
import { declaration } from '../../../services/messenger/declaration.ts'
import { contains, has, openSchool, textsOf, until, whenKnown } from './school.ts'

const DAY_MS = 24 * 3_600_000
/** Keeps a database from being written, on a thread of its own, for longer than an answer may take. */
const HOLD = `
  const { DatabaseSync } = require('node:sqlite')
  const { parentPort, workerData } = require('node:worker_threads')
  const db = new DatabaseSync(workerData, { timeout: 5000 })
  db.exec('BEGIN IMMEDIATE')
  parentPort.postMessage('held')
  parentPort.once('message', () => setTimeout(() => db.exec('ROLLBACK'), 2500))
`
const stateOf = (items: any[], name: string): string => items.find(each => each.name === name)?.state
const remedyOf = (items: any[], name: string): string =>
  String(items.find(each => each.name === name)?.remedy ?? '')

describe('messenger: administration, decisions', () => {
  it('keeps 7 daily, 4 weekly and 3 monthly backups, counted, also where none was made for long', () => {
    // one an hour for 120 days, ending on Wednesday 2026-06-10 at 23:00
    const end = Date.UTC(2026, 5, 10, 23)
    const hourly = Array.from({ length: 120 * 24 }, (_, i) => ({ id: `${i}`, at: end - (i * DAY_MS) / 24 }))
    const days = keptOf(hourly).map(({ at }) => new Date(at).toISOString().slice(0, 13))
    const daily = ['10', '09', '08', '07', '06', '05', '04'].map(day => `2026-06-${day}T23`)
    // Sundays end weeks; the last of April and of May end months
    assert.deepEqual(days, [...daily, '2026-05-31T23', '2026-05-24T23', '2026-04-30T23'])
    const old = [900, 901].map(days => ({ id: `${days}`, at: end - days * DAY_MS }))
    assert.deepEqual(keptOf(old), old)
    assert.deepEqual(keptOf([]), [])
    // changes stay as long as what they stand on is the newest
    const changes = ['0', '0', '24'].map((of, i) => ({ id: `changes ${i}`, at: end + i, of }))
    const kept = keptOf([...hourly, ...changes]).map(({ id }) => id)
    assert.deepEqual(
      kept.filter(id => id.startsWith('changes')),
      ['changes 1', 'changes 0']
    )
  })

  it('is due at two in the morning, and after what was missed', () => {
    const at = (day: number, hour: number): number => new Date(2026, 5, day, hour).getTime()
    assert.equal(isDue(at(10, 3), at(10, 23)), false)
    assert.equal(isDue(at(10, 3), at(11, 1)), false)
    assert.equal(isDue(at(10, 3), at(11, 2)), true)
    assert.equal(isDue(at(1, 3), at(11, 1)), true)
    // the 8th of June 2026 is a Monday
    assert.equal(isNewWeek(at(8, 3), at(14, 23)), false)
    assert.equal(isNewWeek(at(14, 23), at(15, 2)), true)
  })

  it('judges by its thresholds, each of which can be reached', () => {
    const well = { cpu: 0.5, memory: 0.5, diskFree: 0.5, databaseBytes: 1, answerMs: 1, sockets: 0 }
    assert.ok(judge(well).every(({ state, remedy }) => state === 'ok' && remedy == null))
    const cases = [
      ['cpu', 0.7, 0.9],
      ['memory', 0.8, 0.95],
      ['diskFree', 0.2, 0.1],
      ['databaseBytes', 100e6, 1000e6],
      ['answerMs', 500, 2000],
      ['sockets', 0.8, 0.95]
    ] as const
    for (const [name, warn, fail] of cases) {
      assert.equal(stateOf(judge({ ...well, [name]: warn }), name), 'warn', name)
      assert.equal(stateOf(judge({ ...well, [name]: fail }), name), 'fail', name)
      assert.notEqual(remedyOf(judge({ ...well, [name]: fail }), name), '', name)
    }
    const nearlyFull = { ...well, memory: 0.9 }
    assert.equal(stateOf(judge(nearlyFull), 'memory'), 'warn')
    assert.equal(stateOf(judge(nearlyFull, { memory: 0.9 }), 'memory'), 'fail')
    assert.equal(p95([]), 0)
    assert.equal(p95(Array.from({ length: 100 }, (_, i) => i + 1)), 95)
  })
})

describe('messenger: administration, alarm', () => {
  it('tells each change of a state once, and since when it is so', () => {
    let now = 1
    const told: string[] = []
    const alarm = createAlarm(
      () => now,
      ({ name, state }, before) => told.push(`${name} ${before} ${state}`)
    )
    const cpu = (state: Finding['state'], detail: string): Finding => ({ name: 'cpu', state, detail })
    const disk: Finding = { name: 'diskFree', state: 'fail', detail: '5 %' }
    assert.equal(alarm.hear([cpu('ok', '5 %'), disk]), true, 'what is wrong from the beginning')
    now = 2
    assert.equal(alarm.hear([cpu('warn', '75 %'), disk]), true)
    now = 3
    assert.equal(alarm.hear([cpu('warn', '80 %'), disk]), false)
    assert.deepEqual(alarm.last(), [
      { ...cpu('warn', '80 %'), since: 2 },
      { ...disk, since: 1 }
    ])
    alarm.hear([cpu('fail', '95 %'), disk])
    alarm.hear([cpu('ok', '5 %'), disk])
    assert.deepEqual(told, ['diskFree ok fail', 'cpu ok warn', 'cpu warn fail', 'cpu fail ok'])
  })
})

describe('messenger: administration, guidance', () => {
  const NOW = Date.UTC(2026, 0, 31, 12)
  const fine = (name: string): Finding => ({ name, state: 'ok', detail: 'fine' })
  const backupOf = (hours: number): Backup => ({
    id: '20260131T020000Z-1f2e',
    at: NOW - hours * 3_600_000,
    bytes: 1,
    sha256: '',
    events: 1,
    people: 1
  })

  it('fills in the six of a day and the five of a week; a backup that is too old is told with what to do', () => {
    const found = ['mailboxes', 'database', 'diskFree', 'sockets', 'answerMs', 'cpu'].map(fine)
    const day = daily(found, backupOf(25), NOW)
    assert.deepEqual([day.length, ...day.map(({ state }) => state)], [6, 'ok', 'ok', 'ok', 'ok', 'ok', 'ok'])
    assert.equal(daily(found, backupOf(27), NOW).at(-1)?.state, 'fail')
    assert.equal(daily(found, undefined, NOW).at(-1)?.state, 'fail')
    const hours = (count: number): number => NOW - count * 3_600_000
    const measured = {
      newest: backupOf(160),
      cleanedMs: hours(160),
      databaseBytes: 1e6,
      messages: 5,
      nowMs: NOW
    }
    const week = weekly([fine('events'), fine('mail')], measured)
    const states = (found: Finding[]) => ['integrity', 'backup', 'cleanup'].map(name => stateOf(found, name))
    assert.deepEqual([week.length, ...states(week)], [5, 'ok', 'ok', 'ok'])
    const damaged: Finding = { name: 'mail', state: 'fail', detail: '1 of 2 are damaged' }
    const bad = weekly([fine('events'), damaged], {
      ...measured,
      newest: backupOf(170),
      cleanedMs: hours(170)
    })
    assert.deepEqual(states(bad), ['fail', 'fail', 'warn'])
    assert.equal(stateOf(weekly([], { ...measured, cleanedMs: undefined }), 'cleanup'), 'warn')
    assert.match(String(bad.at(-1)!.detail), /mail: 1 of 2/)
  })

  it('has steps and a time for each incident, and names commands that there are', () => {
    const person = {
      id: 'bob',
      name: 'Bob "B" Lee',
      role: 'teacher' as const,
      classes: ['7b'],
      devices: ['d1', 'd2']
    }
    const hours = { leak: 24, ddos: 1, account: 2 }
    const commands = Object.values(declaration.operations).flatMap(({ command }) =>
      command ? [command.name] : []
    )
    for (const kind of ['leak', 'ddos', 'account'] as const)
      for (const { until, steps } of [incident(kind, NOW), incident(kind, NOW, person)]) {
        assert.equal(until, NOW + hours[kind] * 3_600_000)
        assert.ok(steps.length >= 4)
        for (const { command } of steps) {
          const name = /^artel messenger (\S+)/.exec(command ?? '')?.[1]
          if (name != null) assert.ok(commands.includes(name as never), command)
        }
      }
    // those of somebody who is disabled can no longer be revoked
    const commandsOf = incident('account', NOW, person).steps.map(({ command }) => command)
    assert.deepEqual(commandsOf.slice(0, 3), [
      'artel messenger revoke d1 --all',
      'artel messenger revoke d2 --all',
      'artel messenger add-user bob "Bob \\"B\\" Lee" --role teacher --classes 7b --is-disabled'
    ])
    const text = ticket(
      'no pictures',
      [fine('cpu'), { name: 'quota', state: 'fail', detail: '99 %' }],
      NOW
    ).toString()
    assert.match(text, /no pictures.*2026-01-31T12:00.*- quota: fail, 99 %/s)
    assert.doesNotMatch(text, /cpu/)
  })
})

describe('messenger: administration', function () {
  this.timeout(600_000)

  it('backs up, finds damage, restores it, leaves the rest byte for byte, and deleted stays deleted', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'pupil')
    const { id: group } = await whenKnown(ann, 'createGroup', { users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    const texts = ['first', 'the canary sings', 'third', 'to be deleted']
    const ids: string[] = []
    for (const text of texts) ids.push((await ann.call('send', { group, text })).id)
    await ann.call('edit', { message: ids[2], text: 'third, better' })
    await ann.call('addFile', { group, name: 'a.bin', bytes: Buffer.alloc(1000, 7).toString('base64') })
    await until('bob has all', async () => (await textsOf(bob, group)).length === 4)
    // what is on its way is not compared
    const still = async () => ({ ...(await ann.call('status')), mail: 0, outbox: 0 })
    const before = await still()

    assert.equal(stateOf((await ann.call('verify', { full: true })).items, 'backup'), 'warn', 'none yet')
    const backup = await ann.call('backup')
    assert.deepEqual([backup.events, backup.people], [6, 3])
    assert.deepEqual((await ann.call('backups')).items, [backup])
    assert.ok((await ann.call('verify', { full: true })).items.every((each: any) => each.state === 'ok'))
    const backups = join(ann.folder, 'messenger', 'backups')
    assert.equal(await contains(backups, ['canary', 'first']), false, 'it is sealed')
    for (const name of await readdir(backups)) {
      assert.equal((await stat(join(backups, name))).mode & 0o077, 0, name)
      assert.doesNotMatch(name, /tmp/)
    }

    // one message is deleted by its author afterwards, two are lost, one and the file are damaged on the disk
    await ann.call('delete', { message: ids[3] })
    const file = join(ann.folder, 'messenger', 'messenger.sqlite')
    const dump = (): any[] => {
      const db = new DatabaseSync(file, { readOnly: true })
      try {
        return db.prepare('SELECT id, bytes, signature FROM event ORDER BY id').all()
      } finally {
        db.close()
      }
    }
    const whole = dump()
    const harm = new DatabaseSync(file)
    for (const id of [ids[1]!, ids[2]!]) harm.prepare('DELETE FROM event WHERE id = ?').run(id)
    harm.exec(`UPDATE blob SET bytes = CAST('damaged' AS BLOB)`)
    harm.prepare(`UPDATE event SET bytes = CAST('damaged' AS BLOB) WHERE id = ?`).run(ids[0]!)
    harm.close()
    const { items: found } = await ann.call('verify')
    assert.deepEqual([stateOf(found, 'events'), stateOf(found, 'files')], ['fail', 'fail'])
    assert.match(remedyOf(found, 'events'), /artel messenger restore/)

    // a part: what somebody else wrote, and another chat, bring nothing
    for (const part of [{ user: 'bob' }, { group: 'f'.repeat(64) }])
      assert.equal((await ann.call('restore', { id: backup.id, ...part })).events, 0)
    assert.notDeepEqual(dump(), whole)
    const restored = await ann.call('restore', { id: backup.id })
    assert.deepEqual([restored.events, restored.files, restored.statements], [3, 1, 0])
    assert.ok((await ann.call('verify', { full: true })).items.every((each: any) => each.state === 'ok'))
    assert.deepEqual(dump(), whole)
    assert.equal((await ann.call('restore', { id: backup.id })).events, 0, 'twice is as good as once')
    assert.deepEqual(await textsOf(ann, group), ['first', 'the canary sings', 'third, better'])
    for (const text of ['canary', 'better'])
      assert.equal((await ann.call('search', { text })).items.length, 1, text)
    assert.equal(await contains(ann.folder, ['to be deleted']), false, 'not after a restore either')
    assert.deepEqual(await still(), before)

    // both ways afterwards
    await ann.call('send', { group, text: 'after' })
    await bob.call('send', { group, text: 'answer' })
    await until('both have both', async () =>
      [await textsOf(ann, group), await textsOf(bob, group)].every(
        list => list.includes('after') && list.includes('answer')
      )
    )

    // as a file elsewhere: no keys of chats are in it
    const into = join(await mkdtemp(join(tmpdir(), 'artel-messenger-')), 'out')
    await ann.call('restore', { id: backup.id, into })
    const out = new DatabaseSync(join(into, 'messenger.sqlite'), { readOnly: true })
    const keys = out.prepare('SELECT count(*) AS count FROM generation WHERE state IS NOT NULL').get()
    out.close()
    assert.deepEqual({ ...keys }, { count: 0 })
    await assert.rejects(ann.call('restore', { id: backup.id, into }), { name: 'FilePathError' })
    await rm(join(into, '..'), { recursive: true })

    // a damaged description of one is none, and in the way of no other
    await writeFile(join(backups, '20260101T000000Z-0000.json'), '{')
    assert.deepEqual((await ann.call('backups')).items, [backup])

    // a damaged backup is told, and changes nothing
    const sealed = join(backups, `${backup.id}.sealed`)
    const bytes = await readFile(sealed)
    bytes[500]! ^= 1
    await writeFile(sealed, bytes)
    assert.equal(stateOf((await ann.call('verify')).items, 'backup'), 'fail')
    await assert.rejects(ann.call('restore', { id: backup.id }), { name: 'BackupError' })
    await assert.rejects(ann.call('restore', { id: '20260101T000000Z-0000' }), { name: 'BackupError' })
  })

  it('brings a node back whose database is lost, and everybody chats again', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'pupil')
    const { id: group } = await whenKnown(ann, 'createGroup', { users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    await ann.call('send', { group, text: 'kept' })
    const { id: message } = await ann.call('send', { group, text: 'not kept' })
    await ann.call('delete', { message })
    await until('bob has it', async () => (await textsOf(bob, group)).length === 1)
    const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-'))
    const kim = await school.join('kim', 'pupil', { folder })
    await whenKnown(ann, 'changeGroup', { group, add: ['kim'] })
    await until('kim is in the chat', () => has(kim, group))
    const isGone = async (node: typeof kim): Promise<boolean> =>
      (await node.call('messages', { group })).items.some(
        (each: any) => each.id === message && each.isDeleted
      )
    await until('kim has it', async () => (await textsOf(kim, group)).length === 1 && isGone(kim))
    const { id } = await kim.call('backup')
    await kim.call('send', { group, text: 'of kim, after the backup' })
    await until('others have it', async () => (await textsOf(ann, group)).length === 2)
    await kim[Symbol.asyncDispose]()
    const kept = join(folder, 'services', 'messenger')
    // made before a night in which the node was off
    const manifest = join(kept, 'backups', `${id}.json`)
    const made = JSON.parse(await readFile(manifest, 'utf8'))
    await writeFile(manifest, JSON.stringify({ ...made, at: made.at - 3 * DAY_MS }))
    for (const name of await readdir(kept))
      if (name.startsWith('messenger.sqlite')) await rm(join(kept, name))

    const again = await school.node({ folder, identity: kim.identity })
    assert.equal((await again.call('status')).school, undefined)
    await assert.rejects(again.call('backup'), { name: 'SchoolError' }, 'of nothing')
    assert.equal(stateOf((await again.call('diagnose')).items, 'mailboxes'), 'warn')
    assert.ok((await again.call('restore', { id })).statements > 0)
    await until('it is in its school', async () =>
      again.call('status').then(
        ({ me }) => me?.id === 'kim',
        () => false
      )
    )
    assert.equal((await textsOf(again, group))[0], 'kept')
    assert.ok(await isGone(again), 'its place is here')
    await until('the backup that was missed', async () => (await again.call('backups')).items.length === 2)
    // the keys are gone for good; members go on with new ones
    await until('its key packages are at the mailbox', async () => {
      await ann.call('changeGroup', { group, title: `7b ${Date.now()}` })
      await again.call('groups')
      return has(again, group)
    })
    // not before it has again what it wrote itself: nobody takes a second one in its place
    await until('it may write', async () => {
      try {
        return await again.call('send', { group, text: 'kim is back' })
      } catch (error) {
        assert.match((error as Error).message, /own chain is not whole/)
        return false
      }
    })
    const all = ['kept', 'of kim, after the backup', 'kim is back']
    for (const node of [again, ann, bob])
      await until('all have all', async () => (await textsOf(node, group)).join() === all.join())
    await rm(folder, { recursive: true })
  })

  it('names what goes wrong with its remedy, cleans up, and counts', async () => {
    await using school = await openSchool()
    const box = await school.join('box', 'teacher')
    const ann = await school.join('ann', 'teacher', { settings: { mailMb: 1 } })
    await school.desk.call('setMailboxes', { peers: [school.desk.id, box.id, ann.id] })
    await until('ann keeps mail', async () => (await ann.call('status')).isMailbox)
    const diagnose = async (): Promise<any[]> => (await ann.call('diagnose')).items
    // what it has just said of itself is on its way to the mailboxes
    let well: any[] = []
    await until(
      () => `all is well: ${JSON.stringify(well)}`,
      async () => {
        well = await diagnose()
        return ['database', 'mailboxes', 'outbox', 'quota'].every(name => stateOf(well, name) === 'ok')
      }
    )

    const { id: group } = await whenKnown(ann, 'createGroup', { users: ['admin'] })
    const bytes = Buffer.alloc(900_000, 3).toString('base64')
    await ann.call('addFile', { group, name: 'large.bin', bytes })
    await until('pictures have no room', async () => stateOf(await diagnose(), 'quota') !== 'ok')
    assert.match(remedyOf(await diagnose(), 'quota'), /mailMb/)

    await box[Symbol.asyncDispose]()
    await until('a mailbox is missed', async () => stateOf(await diagnose(), 'mailboxes') === 'warn')
    assert.match(remedyOf(await diagnose(), 'mailboxes'), /start those nodes/)
    await ann.call('send', { group, text: 'waits for box' })
    await until('something waits', async () => stateOf(await diagnose(), 'outbox') === 'warn')

    const file = join(ann.folder, 'messenger', 'messenger.sqlite')
    const lock = new DatabaseSync(file)
    lock.exec('BEGIN IMMEDIATE')
    const locked = await diagnose()
    lock.exec('ROLLBACK')
    lock.close()
    assert.equal(stateOf(locked, 'database'), 'fail')
    assert.match(remedyOf(locked, 'database'), /artel messenger verify/)

    // of a node that answered little yet, one slow answer is one of twenty
    const { id: ofDesk } = await whenKnown(school.desk, 'send', { group, text: 'the desk is here' })
    let slow: any[] = []
    await until('an answer was slow', async () => {
      const held = new Worker(HOLD, {
        eval: true,
        workerData: join(school.desk.folder, 'messenger', 'messenger.sqlite')
      })
      await once(held, 'message')
      held.postMessage('a moment more')
      // a busy machine begins too late with one of the two
      await school.desk.call('edit', { message: ofDesk, text: 'slowly' }).catch(() => undefined)
      await held.terminate()
      slow = (await school.desk.call('diagnose')).items
      return stateOf(slow, 'answerMs') === 'fail'
    })
    assert.match(remedyOf(slow, 'answerMs'), /memory and processor/)
    await until('it is here', async () => (await textsOf(ann, group)).includes('slowly'))

    await ann.call('backup')
    const temporary = join(ann.folder, 'messenger', 'backups', 'left.tmp')
    await writeFile(temporary, 'left behind')
    const orphan = new DatabaseSync(file)
    const part = orphan.prepare('INSERT INTO blob VALUES (?, zeroblob(300000), ?)')
    part.run('00', 0)
    // of a file that is still on its way to a mailbox
    part.run('01', Date.now())
    orphan.close()
    const cleaned = await ann.call('cleanup')
    assert.deepEqual([cleaned.files, cleaned.parts], [1, 1])
    assert.ok(cleaned.bytesAfter < cleaned.bytesBefore)
    await assert.rejects(stat(temporary), { code: 'ENOENT' })
    const message = (await ann.call('messages', { group })).items.find((each: any) => each.file != null)
    assert.equal((await ann.call('file', { message: message.id })).bytes.length, 900_000, 'its parts stay')

    const { months, ...people } = await ann.call('stats')
    assert.deepEqual(people, { users: 3, devices: 3 })
    // it began in this month, or just before its beginning
    assert.equal(months.at(-1).month, new Date().toISOString().slice(0, 7))
    const sum = (name: string): number => months.reduce((total: number, each: any) => total + each[name], 0)
    assert.deepEqual([sum('newUsers'), sum('messages')], [3, 3])
    assert.equal(months.at(-1).senders, 2)
    for (const period of ['daily', 'weekly'])
      assert.equal(stateOf((await ann.call('check', { period })).items, 'backup'), 'ok', period)
    const { steps } = await ann.call('incident', { kind: 'account', user: 'ann' })
    assert.match(steps[0].command, /revoke 12D3\S+ --all$/)
    assert.match((await ann.call('ticket', { subject: 'slow' })).text, /slow/)
    const { lines } = await ann.call('log', { name: 'server' })
    assert.ok(lines.some((line: string) => / INFO send \d+ ms by owner$/.test(line)))
    assert.equal(await contains(join(ann.folder, 'messenger', 'logs'), ['waits for box']), false)
    assert.ok((await ann.call('setLogLevel', { level: 'debug' })).until > Date.now())
    const names = (await ann.call('health')).items.map((each: any) => each.name)
    assert.deepEqual(names, ['cpu', 'memory', 'diskFree', 'databaseBytes', 'answerMs', 'sockets'])
    // as it was looked at by itself when it started, and what was not fine then is in its log
    const { items: last } = await ann.call('health', { last: true })
    assert.deepEqual(
      last.map((each: any) => [each.name, each.since > 0]),
      names.map((name: string) => [name, true])
    )
    for (const { name, state } of last)
      assert.equal(
        lines.some((line: string) => line.includes(` WARNING health ok → ${state} ${name}: `)),
        state !== 'ok',
        name
      )
    await assert.rejects(
      ann.call('backup', { id: 'x'.repeat(10) }).then(() => ann.call('restore', { id: '../x' })),
      {
        name: 'RequestError'
      }
    )
  })
})
