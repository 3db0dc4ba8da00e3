import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openDatabase, transact } from '../../../services/host/index.ts'
import { createArchive } from '../../../services/messenger/admin/archive.ts'
import { openFile, sealFile } from '../../../services/messenger/admin/sealed-file.ts'
import { MIGRATIONS } from '../../../services/messenger/store/schema.ts'

const MB = 1024 * 1024
const ID = '20260131T020000Z-1f2e'

async function* parts(...given: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* given
}

describe('messenger: backups as files', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-messenger-archive-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const at = (name: string): string => join(folder, name)

  it('are sealed in parts, and opened only whole, in their order, as the file that they were', async () => {
    const key = randomBytes(32)
    const open = async (about: string, by: Uint8Array = key): Promise<Buffer> => {
      const parts: Uint8Array[] = []
      await openFile(by, about, at('sealed'), part => parts.push(part))
      return Buffer.concat(parts)
    }
    for (const size of [0, 1, MB - 1, MB, MB + 1, 2 * MB, 3 * MB - 7]) {
      const plain = randomBytes(size)
      await writeFile(at('plain'), plain)
      await sealFile(key, ID, at('plain'), at('sealed'))
      assert.ok((await open(ID)).equals(plain), String(size))
    }
    const whole = await readFile(at('sealed'))
    const part = MB + 28
    const parts = [whole.subarray(0, part), whole.subarray(part, 2 * part), whole.subarray(2 * part)] as const
    const wrong = { name: 'MalformedMessageError' }
    for (const bytes of [
      Buffer.concat([parts[1], parts[0], parts[2]]),
      Buffer.concat([parts[0], parts[2]]),
      whole.subarray(0, 2 * part),
      whole.subarray(0, -1),
      Buffer.alloc(0)
    ]) {
      await writeFile(at('sealed'), bytes)
      await assert.rejects(open(ID), wrong)
    }
    await writeFile(at('sealed'), whole)
    await assert.rejects(open('20260131T020000Z-1f2f'), wrong)
    await assert.rejects(open(ID, randomBytes(32)), wrong)
  })

  it('come back from elsewhere only where this node has sealed them, and take no room where it has not', async () => {
    const db = openDatabase(at('own.sqlite'), MIGRATIONS)
    try {
      const archive = createArchive({ db } as never, folder, () => 0)
      const about = { id: ID, at: 1, bytes: 2 ** 40, sha256: '', events: 1, people: 1 }
      let taken = 0
      async function* endless(): AsyncGenerator<Uint8Array> {
        for (; taken < 100; taken++) yield randomBytes(MB)
      }
      await assert.rejects(archive.adopt(about, endless()), { name: 'BackupError' })
      assert.ok(taken < 5, 'what nobody here sealed is not read on')
      await writeFile(at('plain'), randomBytes(3 * MB))
      await sealFile(randomBytes(32), ID, at('plain'), at('sealed'))
      await assert.rejects(archive.adopt(about, parts(await readFile(at('sealed')))), { name: 'BackupError' })
      await sealFile(await readFile(at('backup.key')), ID, at('plain'), at('sealed'))
      const sealed = await readFile(at('sealed'))
      await assert.rejects(archive.adopt(about, parts(sealed.subarray(0, -1))), { name: 'BackupError' })
      assert.deepEqual([await archive.list(), await readdir(at('backups'))], [[], []])
      await archive.adopt(about, parts(sealed.subarray(0, 7), sealed.subarray(7)))
      assert.deepEqual(await archive.list(), [{ ...about, bytes: sealed.length }])
    } finally {
      db.close()
    }
  })

  it('of an hour have what has changed since the newest full one, and stand on it', async () => {
    const db = openDatabase(at('hours.sqlite'), MIGRATIONS)
    const root = at('hours')
    let now = Date.UTC(2026, 0, 31, 2)
    try {
      db.exec('PRAGMA secure_delete = ON')
      const node = { db, school: { known: () => ({ users: () => [] }) } }
      const archive = createArchive(node as never, root, () => now)
      const put = db.prepare('INSERT OR REPLACE INTO own VALUES (?, ?)')
      const dump = (of: DatabaseSync): unknown => of.prepare('SELECT * FROM own ORDER BY key').all()
      const dumpIn = (file: string): unknown => {
        using kept = new DatabaseSync(file, { readOnly: true })
        return dump(kept)
      }
      for (let i = 0; i < 2_000; i++) put.run(String(i), randomBytes(500))
      // there is nothing yet that it could stand on
      const full = await archive.make(false)
      const made = [{ full, dumped: dump(db) }]
      for (let hour = 1; hour <= 3; hour++) {
        now += 3_600_000
        for (let i = 0; i < 20; i++) put.run(String(i + 100 * hour), randomBytes(600))
        if (hour === 2) db.exec(`DELETE FROM own WHERE key > '7'`)
        const hourly = await archive.make(false)
        assert.equal(hourly.of, full.id)
        assert.ok(hour === 2 || hourly.bytes < full.bytes / 2, `${hourly.bytes} of ${full.bytes}`)
        made.push({ full: hourly, dumped: dump(db) })
      }
      for (const {
        full: { id },
        dumped
      } of made) {
        assert.deepEqual(await archive.within(id, dumpIn), dumped, id)
        await archive.check(id)
      }
      // the next full one takes their place, and a damaged one lets nothing stand on it
      now += 3_600_000
      const next = await archive.make(true)
      assert.deepEqual(
        (await archive.list()).map(({ id }) => id),
        [next.id]
      )
      const sealed = join(root, 'backups', `${next.id}.sealed`)
      const hourly = await archive.make(false)
      const bytes = await readFile(sealed)
      bytes[500]! ^= 1
      await writeFile(sealed, bytes)
      await assert.rejects(archive.check(hourly.id), { name: 'BackupError' })
      now += 3_600_000
      assert.equal((await archive.make(false)).of, undefined)
    } finally {
      db.close()
    }
  })

  it('are whole, and of one moment, also where hundreds of writes come meanwhile', async () => {
    const db = openDatabase(at('busy.sqlite'), MIGRATIONS)
    try {
      // as many as come, rather than as a disk takes
      db.exec('PRAGMA synchronous = NORMAL')
      const node = { db, school: { known: () => ({ users: () => [] }) } }
      const archive = createArchive(node as never, at('busy'), Date.now)
      const put = db.prepare('INSERT OR REPLACE INTO own VALUES (?, ?)')
      const numbers = (of: DatabaseSync): number[] =>
        ['left', 'right'].map(key =>
          Number(Buffer.from(of.prepare('SELECT value FROM own WHERE key = ?').get(key)!.value as Uint8Array))
        )
      let writes = 0
      let isOver = false
      const write = (): void =>
        transact(db, () => {
          writes++
          put.run('left', Buffer.from(String(writes)))
          put.run(`filler ${writes}`, randomBytes(1_000))
          put.run('right', Buffer.from(String(writes)))
        })
      while (writes < 500) write()
      const writing = (async () => {
        for (; !isOver; await nextTurn()) write()
      })()
      const made = await archive.make(true).finally(() => {
        isOver = true
      })
      await writing
      assert.ok(writes > 500, 'some came meanwhile')
      await archive.within(made.id, file => {
        using kept = new DatabaseSync(file)
        assert.deepEqual({ ...kept.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' })
        const [left, right] = numbers(kept)
        assert.equal(left, right)
        assert.ok(left! >= 500)
      })
    } finally {
      db.close()
    }
  })

  it('are made where a transaction is under way when one begins', async () => {
    using db = openDatabase(at('begun.sqlite'), MIGRATIONS)
    const archive = createArchive(
      { db, school: { known: () => ({ users: () => [] }) } as never },
      at('begun'),
      Date.now
    )
    db.exec("BEGIN IMMEDIATE; INSERT INTO own VALUES ('kept', x'2a')")
    const making = archive.make(true)
    // the copy is tried meanwhile
    for (let turn = 0; turn < 1_000; turn++) await nextTurn()
    db.exec('COMMIT')
    const { id } = await making
    const kept = await archive.within(id, file => {
      using copied = new DatabaseSync(file)
      return copied.prepare("SELECT value FROM own WHERE key = 'kept'").get()?.value
    })
    assert.deepEqual(kept, Uint8Array.of(42))
  })

  it('of an older program are brought up to date before they are used; of a newer one they are refused', async () => {
    const db = openDatabase(at('own.sqlite'), MIGRATIONS)
    try {
      const archive = createArchive(
        { db, school: { known: () => ({ users: () => [] }) } as never },
        folder,
        Date.now
      )
      const made = await archive.make(true)
      const backups = at('backups')
      const manifest = join(backups, `${made.id}.json`)
      const key = await readFile(at('backup.key'))
      /** The same backup, as a program of another version made it. */
      async function remake(change: (db: DatabaseSync) => void): Promise<void> {
        const old = new DatabaseSync(at('old.sqlite'))
        change(old)
        old.close()
        const sealed = await sealFile(key, made.id, at('old.sqlite'), join(backups, `${made.id}.sealed`))
        await writeFile(manifest, JSON.stringify({ ...made, ...sealed }))
        await rm(at('old.sqlite'))
      }
      const versionIn = (file: string): unknown => {
        using trial = new DatabaseSync(file)
        return trial.prepare('SELECT count(*) AS sent FROM sent').get()!.sent
      }
      await remake(old => old.exec(`${MIGRATIONS[0]}; PRAGMA user_version = 1`))
      assert.equal(await archive.within(made.id, versionIn), 0)
      await remake(old => old.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`))
      await assert.rejects(archive.within(made.id, versionIn), { name: 'BackupError' })
      await remake(old => old.exec('CREATE TABLE something (x)'))
      // what is made of it goes with it
      assert.deepEqual((await readdir(backups)).sort(), [`${made.id}.json`, `${made.id}.sealed`])
      await mkdir(at('there'))
      await assert.rejects(archive.unpack(made.id, at('there')), { name: 'FilePathError' })
    } finally {
      db.close()
    }
  })
})
