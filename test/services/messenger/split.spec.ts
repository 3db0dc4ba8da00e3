import assert from 'node:assert/strict'
import { cut, has, type Node, openSchool, until, whenKnown } from './school.ts'

/** Of each side; as long as an afternoon: MESSENGER_SPLIT=500 */
const MESSAGES = Number(process.env.MESSENGER_SPLIT ?? 10)
const PAGE = 100

type Line = { id: string; at: number; text?: string }

/** All texts of a chat, the oldest first. */
async function allOf(node: Node, group: string): Promise<string[]> {
  const lines: Line[] = []
  for (let page: Line[] | undefined; page == null || page.length > 0; ) {
    const last = lines.at(-1)
    const before = last == null ? {} : { beforeAt: last.at, beforeId: last.id }
    page = (await node.call('messages', { group, limit: PAGE, ...before })).items as Line[]
    lines.push(...page)
  }
  return lines.flatMap(({ text }) => text ?? []).toReversed()
}

describe('messenger: a network that is cut in two', function () {
  this.timeout(600_000)

  it('is one list again for all six when it is healed, of everything that either side said', async () => {
    await using school = await openSchool()
    const box = await school.join('box', 'teacher')
    await school.desk.call('setMailboxes', { peers: [school.desk.id, box.id] })
    const people = ['ann', 'bob', 'kim', 'max']
    const [ann, bob, kim, max] = [
      await school.join('ann', 'teacher'),
      await school.join('bob', 'teacher'),
      await school.join('kim', 'teacher'),
      await school.join('max', 'teacher')
    ]
    const all = [school.desk, ann, bob, box, kim, max]
    await until('ann knows all', async () => {
      const { items } = await ann.call('users')
      return people.every(id => items.some((each: any) => each.id === id && each.devices.length > 0))
    })
    const { id: group } = await whenKnown(ann, 'createGroup', { users: ['admin', 'box', ...people] })
    for (const node of all) await until('everybody is in the chat', () => has(node, group))

    const sides = [all.slice(0, 3), all.slice(3)]
    const heal = await cut(sides)
    const said: string[][] = []
    for (const side of sides) {
      const name = `side ${said.length}`
      const texts = Array.from({ length: MESSAGES }, (_, i) => `${name}: ${i}`)
      said.push(texts)
      // two of each at the same time
      await Promise.all(texts.map((text, i) => side[1 + (i % 2)]!.call('send', { group, text })))
      for (const node of side)
        await until('the side has its own', async () => (await allOf(node, group)).length === MESSAGES)
    }
    for (const [i, side] of sides.entries())
      for (const node of side) assert.deepEqual((await allOf(node, group)).toSorted(), said[i]!.toSorted())

    await heal()
    for (const node of all)
      await until('everybody has all', async () => (await allOf(node, group)).length === 2 * MESSAGES)
    const lists = await Promise.all(all.map(node => allOf(node, group)))
    assert.deepEqual(lists[0]!.toSorted(), said.flat().toSorted())
    for (const list of lists) assert.deepEqual(list, lists[0])
  })
})
