import assert from 'node:assert/strict'
import { cut, has, openSchool, textsOf, until, whenKnown } from './school.ts'

/** Where members waited until they compare what they have, it would take ten minutes. */
const TURNS = 40

describe('messenger: while no mailbox answers', function () {
  this.timeout(180_000)

  it('comes straight to the members that answer, who say that they have it; else the mailbox alone brings it', async () => {
    await using school = await openSchool()
    const lines: string[] = []
    const ann = await school.join('ann', 'teacher', { lines })
    const bob = await school.join('bob', 'teacher', { lines })
    const kim = await school.join('kim', 'pupil')
    const { id: group } = await whenKnown(ann, 'createGroup', { users: ['bob', 'kim'] })
    for (const node of [bob, kim]) await until('both are in the chat', () => has(node, group))
    const said = ['by the mailbox']
    await ann.call('send', { group, text: said[0] })
    await until('bob has it', async () => (await textsOf(bob, group)).length === 1)
    const straight = (): number => lines.filter(line => line.includes('goes straight to its members')).length
    assert.equal(straight(), 0)

    await school.desk[Symbol.asyncDispose]()
    // who is away holds up nobody
    await kim[Symbol.asyncDispose]()
    for (let turn = 0; turn < TURNS; turn++) {
      const [from, to] = turn % 2 === 0 ? [ann, bob] : [bob, ann]
      const { id } = await from.call('send', { group, text: `turn ${turn}` })
      said.push(`turn ${turn}`)
      await until('the other has it', async () => (await textsOf(to, group)).length === said.length)
      await until('its author knows that', async () => {
        const { items } = await from.call('messages', { group, limit: 1 })
        return items[0].id === id && items[0].mark === 'delivered'
      })
    }
    for (const node of [ann, bob]) assert.deepEqual(await textsOf(node, group), said)
    assert.ok(straight() > 0)
  })

  it('comes at once to whom no mailbox reaches, from members that have one', async () => {
    await using school = await openSchool()
    const [ann, bob] = [await school.join('ann', 'teacher'), await school.join('bob', 'teacher')]
    const { id: group } = await whenKnown(ann, 'createGroup', { users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    await cut([[school.desk], [bob]])
    const said: string[] = []
    for (let turn = 0; turn < TURNS; turn++) {
      said.push(`turn ${turn}`)
      await ann.call('send', { group, text: said.at(-1) })
      await until('bob has it', async () => (await textsOf(bob, group)).length === said.length)
    }
    assert.deepEqual(await textsOf(bob, group), said)
  })
})
