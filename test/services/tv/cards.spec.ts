import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { until } from '../../bootstrap/nodes.ts'
import { createFleet } from './fleet.ts'

const mute = { when: 'volume>10', do: [{ operation: 'sound.volume', args: { level: 3 } }] }
type Rehearsed = { items: { tv: string; triggers: { when: string; at: number[] }[]; why?: string }[] }

describe('tv: cards', function () {
  this.timeout(600_000)

  it('act on what is measured, with the grants of who signed them, and start no other', async () => {
    await using fleet = createFleet()
    const { place, tv } = await fleet.tv('tv-1')
    tv.volume = 5
    const operator = await fleet.start()
    const stranger = await fleet.start()
    const agent = await fleet.start({
      tvs: [place],
      grants: [`${operator.id} read,control,card`, `${stranger.id} read,card`]
    })
    await operator.up(1)
    await stranger.up(1)
    const setCard = (node: typeof agent, name: string, triggers: object[]): Promise<object> =>
      node.call('setCard', { name, on: '*', triggers })
    // what the first one makes so, the second one waits for
    await setCard(operator, 'loud', [mute, { when: 'volume=3', do: [{ operation: 'key.home' }] }])
    // this one may not control
    await setCard(stranger, 'other', [{ when: 'volume>10', do: [{ operation: 'key.back' }] }])
    const lateOf = async (node: typeof agent): Promise<unknown[]> =>
      (await node.call<{ items: { late: unknown[] }[] }>('cards')).items.flatMap(({ late }) => late)
    await until(
      async () => [...(await lateOf(operator)), ...(await lateOf(stranger))].length === 0,
      'all are there'
    )
    tv.volume = 12
    await until(() => tv.volume === 3, 'it acts')
    const fired = async () =>
      (await agent.entries('tv:tv-1')).filter(({ kind }) => kind === 'trigger').map(({ body }) => body)
    await until(async () => (await fired()).length === 2, 'both are in the log')
    deepEqual((await fired()).map(({ card, did, issuer }) => [card, did, issuer]).sort(), [
      ['loud', ['sound.volume: done'], operator.id],
      ['other', ['key.back: refused'], stranger.id]
    ])
    deepEqual(tv.keys, [])
    const commands = (await agent.entries('tv:tv-1')).filter(({ kind }) => kind === 'command')
    ok(commands.some(({ body }) => body.name === 'sound.volume' && body.by === operator.id))

    // dry runs do nothing, and find what happened
    const keys = [...tv.ran]
    const found = await operator.call<Rehearsed>('rehearse', {
      on: '*',
      triggers: [mute, { ...mute, when: 'volume>14' }]
    })
    deepEqual(
      found.items[0]!.triggers.map(({ when, at }) => [when, at.length]),
      [
        ['volume>10', 1],
        ['volume>14', 0]
      ]
    )
    ok(tv.ran.slice(keys.length).every(([word]) => word !== 'media'))

    // revoked: the card stays, and does nothing
    await agent.grant([`${operator.id} read,control`])
    const ran = tv.ran.length
    tv.volume = 14
    const volumeSeen = async () =>
      (await operator.call<{ items: { readings: { volume?: number } }[] }>('list')).items[0]!.readings.volume
    await until(async () => (await volumeSeen()) === 14, 'it is seen')
    const looks = (): number =>
      tv.ran.slice(ran).filter(([word, what]) => word === 'dumpsys' && what === 'audio').length
    await until(() => looks() > 3, 'it was looked at again and again')
    equal(tv.volume, 14)
    equal((await fired()).length, 2)
  })

  it('count in their newest version only, and no more once they are ended', async () => {
    await using fleet = createFleet()
    const { place, tv } = await fleet.tv('tv-1')
    const node = await fleet.start({ tvs: [place] })
    await node.up(1)
    const set = (triggers: object[]): Promise<{ version: number }> =>
      node.call('setCard', { name: 'loud', on: '*', triggers })
    equal((await set([{ ...mute, for: 3600 }])).version, 1)
    equal((await set([{ ...mute, when: 'volume>13' }])).version, 2)
    tv.volume = 15
    await until(() => tv.volume === 3, 'it acts')
    await node.call('endCard', { name: 'loud' })
    const assigned = async () =>
      (await node.entries('tv:tv-1'))
        .filter(({ kind }) => kind === 'assigned')
        .map(({ body }) => `${body.version} ${body.is}`)
    await until(async () => (await assigned()).length === 3, 'it is in the log')
    deepEqual(await assigned(), ['1 on', '2 on', '3 off'])
    deepEqual((await node.call<{ items: object[] }>('cards')).items, [])
    const bad = node.call('setCard', { name: 'x', on: '*', triggers: [{ ...mute, when: 'loud' }] })
    match(
      await bad.then(
        () => 'taken',
        (error: Error) => error.message
      ),
      /no condition/
    )
  })
})
