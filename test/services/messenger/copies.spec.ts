import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openDatabase } from '../../../services/host/index.ts'
import { createCopies } from '../../../services/messenger/admin/copies.ts'
import { createKeptCopies } from '../../../services/messenger/admin/kept-copies.ts'
import { MIGRATIONS } from '../../../services/messenger/store/schema.ts'
import { contains, has, openSchool, textsOf, until, whenKnown } from './school.ts'

const OWNER = '12D3KooWDcyQbCQNmvCZFBhXsSWwNvHHF5Vs7hgwTXfBV1qaSBDx'
const OTHER = '12D3KooWGQmdpzHXCqLno4mMxWXKNFQHASBeF99gTm2JR8Vu5Bdc'

async function* parts(...given: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* given
}

describe('messenger: copies of the backups of others', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-messenger-copies-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const copyOf = (bytes: Uint8Array, id: string) => ({
    sha256: createHash('sha256').update(bytes).digest('hex'),
    about: { id, at: 1, bytes: bytes.length, sha256: '', events: 1, people: 1 }
  })

  it('are what they were said to be, within their room, and for their owner alone', async () => {
    const kept = createKeptCopies(folder, () => 1_000)
    const [a, b] = [randomBytes(600), randomBytes(400)]
    const first = copyOf(a, '20260131T020000Z-0001')
    const second = copyOf(b, '20260131T020000Z-0002')
    for (const wrong of [parts(b), parts(a, b), parts(a.subarray(1)), parts()])
      await rejects(kept.take(OWNER, first, wrong), { name: 'MalformedMessageError' })
    await rejects(kept.take('../..', first, parts(a)), { name: 'MalformedMessageError' })
    deepEqual([await kept.list(OWNER), await kept.roomBytes()], [[], 1_000])
    deepEqual(await readdir(join(folder, 'copies', OWNER)), [], 'nothing stays of them')

    equal(await kept.take(OWNER, first, parts(a.subarray(0, 1), a.subarray(1))), 'kept')
    equal(await kept.take(OWNER, first, parts()), 'kept', 'it is here')
    equal(await kept.take(OTHER, copyOf(randomBytes(401), '20260131T020000Z-0003'), parts()), 'full')
    equal(await kept.take(OWNER, second, parts(b)), 'kept')
    equal(await kept.roomBytes(), 0)
    deepEqual(Buffer.concat(await Array.fromAsync(kept.give(OWNER, first.sha256))), a)
    await rejects(Array.fromAsync(kept.give(OTHER, first.sha256)), { name: 'MalformedMessageError' })

    // a kill left half of one, and one of which nobody knows what it is
    const own = join(folder, 'copies', OWNER)
    for (const name of [`${'0'.repeat(64)}.tmp`, '1'.repeat(64)])
      await writeFile(join(own, name), 'left behind')
    await kept.keepOnly(OTHER, [])
    equal((await kept.list(OWNER)).length, 2)
    await kept.keepOnly(OWNER, [second.about.id])
    deepEqual([await kept.list(OWNER), await kept.roomBytes()], [[second], 600])
    deepEqual((await readdir(own)).toSorted(), [second.sha256, `${second.sha256}.json`])
  })

  it('have the room once, also of two nodes at the same moment, and so many files of one and no more', async () => {
    const kept = createKeptCopies(folder, () => 500)
    const taken = await Promise.all(
      [OWNER, OTHER].map((peer, i) => {
        const bytes = randomBytes(300)
        return kept.take(peer, copyOf(bytes, `20260131T020000Z-000${i}`), parts(bytes))
      })
    )
    ok(taken.includes('full'))

    const own = join(folder, 'copies', OWNER)
    await mkdir(own, { recursive: true })
    for (let i = 0; i < 100; i++) {
      const tiny = copyOf(Uint8Array.of(i), '20260131T020000Z-0002')
      await writeFile(join(own, `${tiny.sha256}.json`), JSON.stringify(tiny))
    }
    const one = Uint8Array.of(100)
    equal(await kept.take(OWNER, copyOf(one, '20260131T020000Z-0002'), parts(one)), 'full')
    equal(await kept.take(OTHER, copyOf(one, '20260131T020000Z-0002'), parts(one)), 'kept')
  })
})

describe('messenger: copies of what was lost here', () => {
  const HOUR_MS = 3_600_000
  const about = (hour: number, of?: number) => ({
    id: `hour ${hour}`,
    at: hour * HOUR_MS,
    bytes: 10,
    sha256: '',
    events: 1,
    people: 1,
    ...(of === undefined ? {} : { of: `hour ${of}` })
  })
  type About = ReturnType<typeof about>

  /** What a node that has these, and let those go, lets one keep that has more. */
  async function keptBy(here: About[], there: About[], letGo: About[] = []): Promise<string[]> {
    const asked: string[][] = []
    const file = join(await mkdtemp(join(tmpdir(), 'artel-messenger-lost-')), 'today')
    const db = openDatabase(`${file}.sqlite`, MIGRATIONS)
    try {
      await writeFile(file, 'sealed')
      const copies = createCopies(
        {
          db,
          school: {
            known: () => ({ mailboxes: () => [OWNER], devices: () => [], isPeer: () => true })
          },
          network: {
            self: OTHER,
            ask: async () => ({ room: 1_000, items: there.map(each => ({ sha256: '', about: each })) }),
            open(_peer: string, _kind: string, { kept }: { kept: string[] }) {
              asked.push(kept)
              return { send: async () => {}, end: async () => {}, answer: Promise.resolve({ is: 'kept' }) }
            }
          }
        } as never,
        { list: async () => here, fileOf: () => file, letGo: () => letGo.map(({ id }) => id) } as never,
        { wanted: () => 1, signal: new AbortController().signal, log: () => {} }
      )
      await copies.spread()
    } finally {
      db.close()
      await rm(join(file, '..'), { recursive: true })
    }
    ok(asked.length > 0)
    for (const kept of asked) deepEqual(kept, asked[0])
    return asked[0]!
  }

  it('stay where they are as long as they would have stayed here', async () => {
    // of 40 days in a row, of which none is here
    const kept = await keptBy(
      [about(40 * 24)],
      Array.from({ length: 40 }, (_, day) => about(day * 24))
    )
    deepEqual(
      kept.slice(0, 7),
      [40, 39, 38, 37, 36, 35, 34].map(day => `hour ${day * 24}`)
    )
    // of weeks and months before
    ok(kept.length > 7 && kept.length <= 14)
  })

  it('are not those of the same day, nor their hours, that were made before the loss', async () => {
    const lost = [about(50, 48), about(49, 48), about(48), about(24)]
    deepEqual(await keptBy([about(52)], lost), ['hour 52', 'hour 50', 'hour 49', 'hour 48', 'hour 24'])
    // the next day has a place of its own
    deepEqual((await keptBy([about(74, 72), about(72), about(52)], lost)).slice(3), [
      'hour 50',
      'hour 49',
      'hour 48',
      'hour 24'
    ])
    // whereas what was let go here goes there, too
    deepEqual(await keptBy([about(52)], lost, [about(48), about(49, 48), about(50, 48)]), [
      'hour 52',
      'hour 24'
    ])
  })
})

describe('messenger: backups on other nodes', function () {
  this.timeout(600_000)

  it('come back from one that cannot read them; none is kept where it is not agreed to', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher', { settings: { copies: 2 } })
    const bob = await school.join('bob', 'teacher', { settings: { copiesMb: 50 } })
    const { id: group } = await whenKnown(ann, 'createGroup', { users: ['bob', 'admin'] })
    await until('bob is in the chat', () => has(bob, group))
    const { id: message } = await ann.call('send', { group, text: 'the canary sings' })
    const full = await ann.call('backup', { full: true })
    await ann.call('send', { group, text: 'an hour later' })
    const hourly = await ann.call('backup')
    equal(hourly.of, full.id)
    const listed = async () => (await ann.call('copies')).items.map((each: any) => [each.peer, each.id])
    const peer = bob.libp2p.peerId.toString()
    deepEqual(await listed(), [
      [peer, hourly.id],
      [peer, full.id]
    ])
    const kept = join(bob.folder, 'messenger', 'copies')
    equal(await contains(kept, ['canary', 'an hour later']), false, 'he cannot read them')
    const told = (await ann.call('audit')).items.find(({ name }: any) => name === 'copies')
    equal(told.state, 'warn')
    match(told.detail, /^1 of 2/)

    // the disk of the one is gone with what it had of backups, and a message with it
    const own = join(ann.folder, 'messenger')
    await rm(join(own, 'backups'), { recursive: true })
    const harm = new DatabaseSync(join(own, 'messenger.sqlite'))
    harm.prepare('DELETE FROM event WHERE id = ?').run(message)
    harm.close()
    deepEqual(await textsOf(ann, group), ['an hour later'])

    // what was changed there is not taken
    const copies = join(kept, ann.libp2p.peerId.toString())
    const files = (await readdir(copies)).filter(name => !name.endsWith('.json'))
    const whole = new Map<string, Buffer>()
    for (const name of files) {
      const bytes = await readFile(join(copies, name))
      whole.set(name, Buffer.from(bytes))
      bytes[bytes.length - 1]! ^= 1
      await writeFile(join(copies, name), bytes)
    }
    await rejects(ann.call('restore', { id: hourly.id }), { name: 'BackupError' })
    deepEqual((await ann.call('backups')).items, [])
    for (const [name, bytes] of whole) await writeFile(join(copies, name), bytes)
    equal((await ann.call('restore', { id: hourly.id })).events, 1)
    deepEqual(await textsOf(ann, group), ['the canary sings', 'an hour later'])
    deepEqual((await ann.call('backups')).items, [hourly, full])
    ok((await ann.call('verify', { full: true })).items.every((each: any) => each.state === 'ok'))
  })
})
