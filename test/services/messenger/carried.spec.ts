import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Frame, writeFrames } from '../../../services/messenger/carried/format.ts'
import { fromHex } from '../../../services/messenger/core/codec.ts'
import { keyOf } from './devices.ts'
import { cut, has, type Node, openSchool, say, textsOf, until, whenKnown } from './school.ts'

const DAY = ['Канарейка canary', 'and on']

describe('messenger: mail that somebody carries', function () {
  this.timeout(600_000)

  it('joins two halves of a school that never meet: a day of chat, a new member, a file, both ways', async () => {
    await using school = await openSchool()
    const { desk } = school
    const [ann, bob] = [await school.join('ann', 'teacher'), await school.join('bob', 'teacher')]
    const max = await school.join('max', 'pupil')
    const kim = await school.node()
    await desk.call('setMailboxes', { peers: [desk.id, ann.id, bob.id] })
    await until('all know the mailboxes', async () => {
      const all = await Promise.all([ann, bob, max].map(node => node.call('status')))
      return all.every(({ mailboxes }) => mailboxes.length === 3)
    })
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    const { device } = await max.call('status')
    await until('max can be added', () => hasPackage(ann, device))
    await cut([
      [desk, ann, kim],
      [bob, max]
    ])

    await ann.call('send', { group, text: DAY[0] })
    const bytes = new Uint8Array(300_000).map((_, i) => i % 251)
    const { id: file } = await ann.call('addFile', {
      group,
      name: 'map.bin',
      bytes: Buffer.from(bytes).toString('base64')
    })
    const { invitation } = await desk.call('addUser', { user: 'kim', name: 'Kim', role: 'pupil' })
    await kim.call('join', { code: invitation.code })
    await whenKnown(ann, 'changeGroup', { group, add: ['kim', 'max'] })
    await until('kim is in the chat', () => has(kim, group))
    await say(kim, group, 'kim is new')
    await say(bob, group, 'from the other half')
    await until('the desk has it', async () => (await marksOf(kim, group)).every(mark => mark !== 'saved'))

    const there = join(ann.folder, 'there.mail')
    const packed = await desk.call('carryExport', { path: there })
    assert.equal(packed.left, 0)
    assert.equal((await readFile(there)).length, packed.bytes)
    for (const text of [...DAY, 'kim is new', 'map.bin'])
      assert.equal((await readFile(there)).includes(text), false, 'whoever carries it can read nothing')
    assert.equal((await bob.call('carryImport', { path: there })).fault, undefined)
    await until('bob has the day', async () => (await textsOf(bob, group)).length === 3)
    await until('max is in the chat', () => has(max, group))
    assert.deepEqual(await bob.call('file', { message: file }), { name: 'map.bin', bytes })
    const { items } = await bob.call('users')
    assert.equal(items.find(({ id }: any) => id === 'kim').devices.length, 1)

    await bob.call('send', { group, text: DAY[1] })
    await say(max, group, 'max is new')
    await until('the mailbox has it', async () => (await marksOf(max, group)).every(mark => mark !== 'saved'))
    const back = join(bob.folder, 'back.mail')
    await bob.call('carryExport', { path: back, files: false })
    // on the node of a member who keeps no mail, from which the others have it
    const taken = await kim.call('carryImport', { path: back })
    assert.ok(taken.envelopes > 0)
    for (const node of [kim, ann, bob, max])
      await until('all have all', async () => (await textsOf(node, group)).length === 5)
    for (const node of [kim, bob]) assert.deepEqual(await textsOf(node, group), await textsOf(ann, group))

    const nothing = { statements: 0, packages: 0, envelopes: 0 }
    assert.deepEqual(await kim.call('carryImport', { path: back }), nothing)
    assert.deepEqual(await bob.call('carryImport', { path: there }), nothing)
    await assert.rejects(desk.call('carryExport', { path: there }), { name: 'FilePathError' })

    // what is cut or changed is noticed, and what came before counts
    const wrong = join(ann.folder, 'wrong.mail')
    const whole = await readFile(there)
    const late = await school.node()
    await late.call('join', { code: (await desk.call('invite', { user: 'kim' })).code })
    const changed = Buffer.from(whole)
    changed[whole.length - 300_000]! ^= 1
    for (const [bytes, fault] of [
      [whole.subarray(0, -1), /it was cut/],
      [whole.subarray(0, -100), /it was cut/],
      [changed, /not signed/]
    ] as const) {
      await writeFile(wrong, bytes)
      assert.match((await late.call('carryImport', { path: wrong })).fault, fault)
    }
  })

  it('is taken from nobody who does not count, of no other school, and costs what a part may at most', async () => {
    await using school = await openSchool()
    const { desk } = school
    const path = join(desk.folder, 'wrong.mail')
    const { school: of } = await desk.call('status')
    const stranger = await keyOf('a stranger')
    const mail: Frame = { kind: 'mail', body: [new Uint8Array([1])] }
    async function refused(name: string, id: string, frames: Iterable<Frame>, cutTo?: number): Promise<void> {
      const head = {
        school: fromHex(id),
        device: stranger.id,
        nonce: new Uint8Array(randomBytes(16)),
        timeMs: 1
      }
      const chunks = await Array.fromAsync(writeFrames(stranger.signer, head, frames))
      await writeFile(path, Buffer.concat(chunks).subarray(0, cutTo))
      await assert.rejects(desk.call('carryImport', { path }), { name })
    }
    await refused('PolicyError', of.id, [mail])
    await refused('SchoolError', 'ab'.repeat(32), [mail])
    await refused('MalformedMessageError', of.id, [mail], 50)
    await writeFile(path, Buffer.concat([Buffer.from('artel mail 1\n'), Buffer.alloc(100, 0xff)]))
    await assert.rejects(desk.call('carryImport', { path }), {
      name: 'MalformedMessageError',
      message: /at most/
    })
    await assert.rejects(desk.call('carryImport', { path: 'wrong.mail' }), { name: 'FilePathError' })
  })
})

async function marksOf(node: Node, group: string): Promise<string[]> {
  const { items } = await node.call('messages', { group })
  return items.flatMap(({ mark }: any) => mark ?? [])
}

/** Whether a mailbox has something by which the device can be added to a chat. */
function hasPackage({ folder }: Node, device: string): boolean {
  const db = new DatabaseSync(join(folder, 'messenger', 'messenger.sqlite'))
  try {
    return db.prepare('SELECT 1 FROM package WHERE device = ?').get(device) != null
  } finally {
    db.close()
  }
}
