import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { createIdentity } from '../../../bootstrap/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createFleet, type Outcome } from './fleet.ts'

const ALL = 'read,control,power,files,apps,system'

describe('tv: a node beside TVs, and operators elsewhere', function () {
  this.timeout(600_000)

  it('says how they are, does what is asked, and looks whether it is done', async () => {
    await using fleet = createFleet()
    const { place, tv, daemon } = await fleet.tv('tv-1', 'line=2')
    const node = await fleet.start({ tvs: [place] })
    await node.up(1)
    const { items } = await node.call<{ items: { readings: Record<string, unknown>; tags: object }[] }>(
      'list'
    )
    const { uptime, ...rest } = items[0]!.readings as { uptime: number }
    ok(uptime >= 0)
    deepEqual(rest, {
      client: 'up',
      power: 'on',
      volume: 12,
      muted: false,
      output: 'speaker',
      app: 'com.android.tv',
      source: 'HDMI1',
      ethernet: true,
      space: 64 * 1024 * 1024,
      temperature: 41.5
    })

    const [done] = await node.do('sound.volume', 'name=tv-1', { level: 7 })
    deepEqual([done!.is, tv.volume], ['done', 7])
    await node.do('source.hdmi3', '*')
    equal(tv.source, 'HDMI3')
    await node.do('sound.mute', '*')
    await node.do('sound.mute', '*')
    equal(tv.isMuted, true)
    await node.do('key.text', '*', { text: `it's; reboot $(x)` })
    deepEqual([tv.typed, tv.reboots, tv.escapes], [[`it's; reboot $(x)`], 0, []])
    deepEqual((await node.do('power.standby', '*'))[0]!.is, 'done')
    deepEqual((await node.do('power.state', '*'))[0]!.readings, { power: 'off' })

    // it says that all is well, and does nothing
    tv.deaf.add('media')
    const [failed] = await node.do('sound.volume', '*', { level: 3 })
    deepEqual([failed!.is, failed!.why], ['failed', 'sound.volume: still 7, not 3'])
    const [refused] = await node.do('sound.volume', '*', { level: '3; reboot' })
    equal(refused!.is, 'refused')
    equal((await node.do('shell.run', '*', { command: 'reboot' }))[0]!.is, 'refused')
    equal((await node.do('nonsense', '*'))[0]!.is, 'refused')
    equal(tv.reboots, 0)
    deepEqual(await node.call('pair', { tv: 'tv-1' }), { lamp: 'shell' })
    await rejects(node.call('pair', { tv: 'tv-1', code: '123456' }), { name: 'TvRequestError' })

    const said = (await node.entries('tv:tv-1')).flatMap(({ kind, body }) =>
      kind === 'fleet-command' ? [body] : []
    )
    const ids = said.flatMap(({ id, args }) => (args?.includes('sound.volume') ? [id] : []))
    deepEqual(
      said.flatMap(({ id, is }) => (ids.includes(id) ? [is] : [])),
      ['received', 'started', 'done', 'received', 'started', 'failed']
    )

    const { png } = await node.call<{ png: Uint8Array }>('picture', { on: '*' })
    equal(PNG.sync.read(Buffer.from(png)).width, 64)
    const small = await node.call<{ png: Uint8Array }>('picture', { on: '*', small: true })
    equal(PNG.sync.read(Buffer.from(small.png)).height, 36)

    await daemon[Symbol.asyncDispose]()
    const health = () => node.host.services.health().find(({ service }) => service === 'tv')!
    await until(() => health().reason?.startsWith('tv-1: ') === true, 'the node says that it is away')
  })

  it('brings a file of the network to a TV, by its CID, and updates an app so', async () => {
    await using fleet = createFleet()
    const { place, tv } = await fleet.tv('tv-1')
    const operator = await fleet.start()
    const agent = await fleet.start({ tvs: [place], grants: [`${operator.id} ${ALL}`] })
    await agent.up(1)
    const film = randomBytes(700_000)
    const path = "/sdcard/it's.mp4"
    const [pushed] = await operator.do('files.push', '*', { cid: await operator.share(film), path })
    equal(pushed!.is, 'done', pushed!.why)
    ok(film.equals(tv.files.get(path)!))
    const [updated] = await operator.do('apps.update', '*', {
      cid: await operator.share(Buffer.from('com.example.new'))
    })
    equal(updated!.is, 'done', updated!.why)
    deepEqual([tv.apps.has('com.example.new'), [...tv.files.keys()]], [true, [path]])
    await operator.do('key.sequence', '*', { codes: '3,20,20,66' })
    deepEqual(tv.keys, [3, 20, 20, 66])
  })

  it('asks nothing of a TV for who has no grant, or has it no more', async () => {
    await using fleet = createFleet()
    const { place, tv } = await fleet.tv('tv-1', 'line=2')
    const other = await fleet.tv('tv-2', 'line=3')
    const operator = await fleet.start()
    const agent = await fleet.start({
      tvs: [place, other.place],
      grants: [`${operator.id} ${ALL} on tv:* line=2`]
    })
    await agent.up(2)
    await operator.up(1)
    equal((await operator.do('sound.volume', 'line=2', { level: 4 }))[0]!.is, 'done')
    equal(tv.volume, 4)
    // what it cannot see it cannot name; asked all the same, it is refused
    deepEqual(await operator.do('sound.volume', 'line=3', { level: 4 }), [])
    const direct = await operator.call<Outcome>(
      'command',
      {
        ...{ device: 'tv:tv-2', agent: agent.id, minutes: 1 },
        ...{ name: 'control', args: { operation: 'key.home' } }
      },
      { service: 'devices' }
    )
    deepEqual([direct.is, other.tv.keys], ['refused', []])
    const look = { tv: 'tv-2', name: 'sound.state', args: {} }
    equal(((await operator.ask(agent.id, 'look', look)) as Outcome).is, 'refused')
    // what does something is no look
    const act = { tv: 'tv-1', name: 'key.home', args: {} }
    equal(((await operator.ask(agent.id, 'look', act)) as Outcome).is, 'refused')

    for (const grants of [[], [`${operator.id} read`], [`${operator.id} ${ALL} until 2020-01-01`]]) {
      const before = tv.ran.length
      const keys = tv.keys.length
      await agent.grant(grants)
      const items = await operator.do('key.home', 'name=tv-1')
      deepEqual(
        items.map(({ is }) => is),
        grants[0] === `${operator.id} read` ? ['refused'] : []
      )
      equal(tv.keys.length, keys)
      ok(tv.ran.slice(before).every(([word]) => word !== 'input'))
    }
  })

  it('has one holder for two operators, who may be cut from each other', async () => {
    await using fleet = createFleet()
    const { place, tv } = await fleet.tv('tv-1')
    const one = await fleet.start()
    const two = await fleet.start()
    const agent = await fleet.start({
      tvs: [place],
      grants: [`${one.id} ${ALL}`, `${two.id} ${ALL},override`]
    })
    await agent.up(1)
    type Booked = { items: { held: boolean; why?: string }[] }
    const book = (who: typeof one, override = false): Promise<Booked> =>
      who.call('book', { on: '*', minutes: 5, why: 'new mount', override })
    const both = (await Promise.all([book(one), book(two)])).flatMap(({ items }) => items)
    equal(both.filter(({ held }) => held).length, 1)
    match(both.find(({ held }) => !held)!.why!, /is held by/)
    const { items } = await one.call<{ items: { who: string }[] }>('bookings')
    equal(items.length, 1)
    const [holder, loser] = items[0]!.who === one.id ? [one, two] : [two, one]
    equal((await holder.do('sound.volume', '*', { level: 3 }))[0]!.is, 'done')
    const isHeld = async (node: typeof one): Promise<void> => {
      const [{ is, why } = {} as never] = await node.do('sound.volume', '*', { level: 1 })
      deepEqual([is, /is held by/.test(why ?? '')], ['failed', true])
    }
    await isHeld(loser)
    equal(tv.volume, 3)
    // to look is no holding
    equal((await loser.do('sound.state', '*'))[0]!.is, 'done')
    // the owner of the node does not go around it either
    await isHeld(agent)

    equal((await book(one, true)).items[0]!.held, false)
    equal((await book(two, true)).items[0]!.held, true)
    equal((await two.do('sound.volume', '*', { level: 9 }))[0]!.is, 'done')
    await isHeld(one)
    await two.call('release', { on: '*' })
    equal((await one.do('sound.volume', '*', { level: 2 }))[0]!.is, 'done')
    const kinds = (await agent.entries('tv:tv-1')).filter(({ kind }) => kind === 'booking')
    ok(kinds.some(({ body }) => body.is === 'taken' && body.by === two.id))
  })

  it('does a command once, and says unknown after a crash in its middle', async () => {
    await using fleet = createFleet()
    const folder = await mkdtemp(join(tmpdir(), 'artel-tv-'))
    try {
      const identity = await createIdentity()
      const { place, tv, daemon } = await fleet.tv('tv-1')
      const operator = await fleet.start()
      // it is looked at seldom: a look that gets no answer holds up what comes behind it for half a minute
      const settings = { tvs: [place], grants: [`${operator.id} ${ALL}`], answerMs: 30_000, lookSeconds: 2 }
      const agent = await fleet.start(settings, { folder, identity })
      await operator.up(1)
      equal((await operator.do('sound.down', '*'))[0]!.is, 'done')
      equal(tv.volume, 11)
      // what only looks is looked at again: its picture is kept nowhere
      const shot = { tv: 'tv-1', name: 'screen.shot', args: {} }
      for (let i = 0; i < 2; i++) {
        const { picture } = (await operator.ask(agent.id, 'look', shot)) as { picture?: Uint8Array }
        equal(PNG.sync.read(Buffer.from(picture!)).width, 64)
      }
      equal(
        (await agent.entries('tv:tv-1')).filter(({ body }) => body.args?.includes('screen.shot')).length,
        0
      )

      daemon.mute = 'data'
      // brought again and again until it is there
      const asked = operator.do('sound.down', '*')
      await until(() => tv.volume === 10, 'it is done, and nobody hears it')
      await agent.stop()
      daemon.mute = undefined
      const again = await fleet.start({ ...settings, grants: [] }, { folder, identity })
      const [lost] = await asked
      equal(lost!.is, 'unknown', lost!.why)
      await again.up(1)
      equal(tv.volume, 10)
      const said = (await again.entries('tv:tv-1')).filter(({ kind }) => kind === 'fleet-command')
      equal(said.at(-1)!.body.is, 'unknown')
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('goes over a group: a few first, and no further when too many fail', async () => {
    await using fleet = createFleet()
    const all = await Promise.all(
      Array.from({ length: 6 }, (_, i) => fleet.tv(`tv-${i}`, `place=${i < 3 ? 'a' : 'b'}`))
    )
    const node = await fleet.start({ tvs: all.map(({ place }) => place) })
    await node.up(6)
    const items = await node.do('sound.volume', 'place=a', { level: 5 })
    deepEqual(items.map(({ tv }) => tv).sort(), ['tv-0', 'tv-1', 'tv-2'])
    deepEqual(
      all.map(({ tv }) => tv.volume),
      [5, 5, 5, 12, 12, 12]
    )
    for (const { tv } of all) tv.deaf.add('media')
    const { items: tried, left } = await node.call<{ items: Outcome[]; left: object[] }>('do', {
      operation: 'sound.volume',
      on: '*',
      args: { level: 1 },
      atOnce: 2,
      canary: 2,
      stopAt: 10
    })
    ok(tried.length <= 2 && tried.every(({ is }) => is === 'failed'))
    equal(tried.length + left.length, 6)
    await rejects(node.do('key.home', 'line <> 2'), { name: 'TvRequestError' })
  })

  it('does one operation on 150 TVs behind four nodes, with each outcome once', async () => {
    await using fleet = createFleet()
    const all = await Promise.all(Array.from({ length: 150 }, (_, i) => fleet.tv(`tv-${i}`)))
    const operator = await fleet.start()
    const grants = [`${operator.id} ${ALL}`]
    for (let node = 0; node < 4; node++)
      await fleet.start({
        tvs: all.filter((_, i) => i % 4 === node).map(({ place }) => place),
        grants,
        lookSeconds: 5
      })
    await operator.up(150)
    const items = await operator.do('sound.up', '*')
    equal(new Set(items.map(({ tv }) => tv)).size, 150)
    deepEqual([...new Set(items.map(({ is }) => is))], ['done'])
    deepEqual([...new Set(all.map(({ tv }) => tv.volume))], [13])
  })
})
