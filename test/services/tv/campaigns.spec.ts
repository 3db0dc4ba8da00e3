import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdentity } from '../../../bootstrap/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { FakeTv } from './fake-tv.ts'
import { createFleet, type Entry } from './fleet.ts'

const ALL = 'read,control,power,files,campaign,card'
const HOUR_MS = 3_600_000
const inAnHour = (): string => new Date(Date.now() + HOUR_MS).toISOString()
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

interface CampaignRow {
  name: string
  tvs: { agent: string; tv: string; files: number; shown: number; isShowing: boolean; isReady: boolean }[]
  late: { agent: string; why?: string }[]
}
type Node = Awaited<ReturnType<ReturnType<typeof createFleet>['start']>>

const rowsOf = async (node: Node): Promise<CampaignRow[]> =>
  (await node.call<{ items: CampaignRow[] }>('campaigns')).items
const set = (node: Node, name: string, files: string[], more: object = {}): Promise<{ overlaps: object[] }> =>
  node.call('setCampaign', { name, on: '*', files, end: inAnHour(), ...more })
const showings = async (node: Node, tv: string): Promise<Entry['body'][]> =>
  (await node.entries(`tv:${tv}`)).filter(({ kind }) => kind === 'showing').map(({ body }) => body)

/** Every showing that a TV began is in the log, in order, and no TV began with half a file. */
async function isProved(node: Node, tv: FakeTv, name: string, files: readonly Uint8Array[]): Promise<void> {
  const begun = [...tv.shownHashes]
  await until(async () => (await showings(node, name)).length >= begun.length, 'all are in the log')
  const hashes = files.map(sha256)
  for (const hash of tv.shownHashes) ok(hashes.includes(hash), 'a file is whole or not shown')
}

describe('tv: campaigns', function () {
  this.timeout(600_000)

  it('are uploaded once, fetched by CID, copied to each TV, shown in order, and proved', async () => {
    await using fleet = createFleet()
    const [a, b, c] = await Promise.all([fleet.tv('tv-a'), fleet.tv('tv-b'), fleet.tv('tv-c')])
    const operator = await fleet.start()
    const grants = [`${operator.id} ${ALL}`]
    const one = await fleet.start({ tvs: [a.place, b.place], grants })
    const two = await fleet.start({ tvs: [c.place], grants })
    await operator.up(3)
    const films = [randomBytes(300_000), randomBytes(500_000)]
    const cids = await Promise.all(films.map(film => operator.share(film)))
    const files = cids.map(cid => `${cid} 0.3 video/mp4`)
    await rejects(set(operator, 'none', files, { on: 'name=nobody' }), { name: 'TvRequestError' })
    await rejects(set(operator, 'untyped', [`${cids[0]} 1`]), { name: 'TvRequestError', message: /type/ })
    deepEqual((await set(operator, 'winter', files)).overlaps, [])
    await until(async () => (await rowsOf(operator))[0]!.tvs.every(each => each.isReady), 'all are ready')
    await until(async () => (await rowsOf(operator))[0]!.tvs.every(each => each.shown >= 3), 'all show it')
    for (const { tv } of [a, b, c])
      deepEqual(tv.shownHashes.slice(0, 3), [films[0]!, films[1]!, films[0]!].map(sha256))

    const [first] = await showings(one, 'tv-a')
    const { from, to, picture, ...rest } = first!
    deepEqual(rest, {
      campaign: 'winter',
      version: 1,
      issuer: operator.id,
      asset: cids[0],
      is: 'shown',
      state: 'playing'
    })
    ok(to - from >= 298, 'a timer can be a little early')
    match(picture, /^[\da-f]{64}$/)

    // the next version, of a higher rank than another one
    await set(operator, 'summer', [files[1]!], { priority: 10 })
    const { overlaps } = await set(operator, 'winter', [files[1]!])
    deepEqual(overlaps, [{ name: 'summer', priority: 10 }])
    await until(async () => (await showings(two, 'tv-c')).at(-1)?.version === 2, 'it is the new one')
    ok((await showings(two, 'tv-c')).every(({ campaign }) => campaign === 'winter'))

    await operator.call('endCampaign', { name: 'winter' })
    await until(async () => (await showings(two, 'tv-c')).at(-1)?.campaign === 'summer', 'the other one')
    // who may no more has nothing shown
    await one.grant([`${operator.id} read`])
    const list = async () =>
      (await one.call<{ items: { readings: { campaign?: string } }[] }>('list', { on: 'name=tv-a' }))
        .items[0]!
    await until(async () => (await list()).readings.campaign === '', 'nothing is shown')
    const before = a.tv.shown.length
    await until(async () => (await rowsOf(operator))[0]!.tvs.some(each => each.shown > 8), 'others go on')
    equal(a.tv.shown.length, before)
    for (const [node, { tv }, name] of [
      [one, a, 'tv-a'],
      [one, b, 'tv-b'],
      [two, c, 'tv-c']
    ] as const)
      await isProved(node, tv, name, films)
  })

  it('let go of what came with them when they end, but for what the owner of the node has added meanwhile', async () => {
    await using fleet = createFleet()
    const { place } = await fleet.tv('tv-a')
    const operator = await fleet.start()
    const agent = await fleet.start({ tvs: [place], grants: [`${operator.id} ${ALL}`] })
    await operator.up(1)
    const films = [randomBytes(20_000), randomBytes(20_000), randomBytes(20_000)]
    const cids = await Promise.all(films.map(film => operator.share(film)))
    const there = async (): Promise<string[]> =>
      (await agent.call<{ items: { cid: string }[] }>('list', {}, { service: 'files' })).items.map(
        ({ cid }) => cid
      )
    await set(
      operator,
      'short',
      cids.map(cid => `${cid} 0.2 video/mp4`)
    )
    await until(async () => (await rowsOf(operator))[0]!.tvs[0]!.isReady, 'it is ready')
    equal(await agent.share(films[0]!, 'mine.mp4'), cids[0])
    await agent.call('pin', { file: cids[2], replicas: 0 }, { service: 'files' })
    await operator.call('endCampaign', { name: 'short' })
    await until(async () => !(await there()).includes(cids[1]!), 'what came with it is gone')
    deepEqual((await there()).sort(), [cids[0], cids[2]].sort())
  })

  it('go on without their source, which is killed half way: neighbours have the rest; wrong bytes are refused', async () => {
    await using fleet = createFleet()
    const tvs = await Promise.all([...'abcd'].map(each => fleet.tv(`tv-${each}`)))
    const films = Array.from({ length: 8 }, () => randomBytes(1_500_000))
    const operator = await fleet.start()
    const agents: Node[] = []
    for (const { place } of tvs)
      agents.push(await fleet.start({ tvs: [place], grants: [`${operator.id} ${ALL}`] }))
    await operator.up(4)
    const cids = await Promise.all(films.map(film => operator.share(film)))
    const wholeAt = async (node: Node): Promise<string[]> =>
      (
        await node.call<{ items: { cid: string; isWhole: boolean }[] }>('list', {}, { service: 'files' })
      ).items
        .filter(each => each.isWhole)
        .map(({ cid }) => cid)
    await set(
      operator,
      'big',
      cids.map(cid => `${cid} 0.2 video/mp4`)
    )
    await until(async () => (await rowsOf(operator))[0]!.late.length === 0, 'all know of it')
    // one who says another hash than the file has
    const liar = await fleet.start()
    for (const agent of agents) await agent.grant([`${operator.id} ${ALL}`, `${liar.id} ${ALL}`])
    let parts: string[][] = []
    await until(async () => {
      parts = await Promise.all(agents.map(wholeAt))
      return new Set(parts.flat()).size === films.length
    }, 'together they have all')
    await operator.stop()
    await until(
      async () => (await Promise.all(agents.map(wholeAt))).every(each => each.length === 8),
      'each has all'
    )
    for (const { tv } of tvs)
      await until(() => new Set(tv.shownHashes).size === films.length, 'each TV has shown all')
    for (const [i, { tv }] of tvs.entries()) await isProved(agents[i]!, tv, `tv-${'abcd'[i]}`, films)

    const wrong = { cid: cids[0]!, sha256: '0'.repeat(64), bytes: 1_500_000, mime: 'video/mp4', ms: 200 }
    const document = {
      name: 'wrong',
      version: 1,
      by: liar.id,
      on: '*',
      targets: [{ agent: agents[0]!.id, tv: 'tv-a' }],
      assets: [wrong],
      start: 0,
      end: Date.now() + HOUR_MS,
      priority: 99
    }
    const bytes = Buffer.from(JSON.stringify(document))
    const signed = (signature: Uint8Array, issuer = liar.id) => ({
      kind: 'campaign',
      issuer,
      bytes,
      signature
    })
    const right = liar.host.sign('artel/tv/campaign', bytes)
    const give = (request: object) =>
      liar.ask(agents[0]!.id, 'document', request) as Promise<{ why?: string }>
    match((await give(signed(randomBytes(64)))).why!, /has not signed/)
    match((await give(signed(right, operator.id))).why!, /has not signed/)
    equal((await give(signed(right))).why, undefined)
    const health = () => agents[0]!.host.services.health().find(({ service }) => service === 'tv')!
    await until(() => /is .*, not 0000/.test(health().reason ?? ''), 'the node says what is wrong')
    ok(!tvs[0]!.tv.shownHashes.includes(wrong.sha256))

    // one that is longer than was said is not kept, which is said also when the next one comes
    const [long, next] = [randomBytes(6_000_000), randomBytes(1_000)]
    const [longCid, nextCid] = [await liar.share(long), await liar.share(next)]
    const more = Buffer.from(
      JSON.stringify({
        ...document,
        name: 'long',
        assets: [
          { ...wrong, cid: longCid, sha256: sha256(long), bytes: 5 },
          { ...wrong, cid: nextCid, sha256: sha256(next), bytes: next.length }
        ]
      })
    )
    const answer = await give({ ...signed(liar.host.sign('artel/tv/campaign', more)), bytes: more })
    equal(answer.why, undefined)
    await until(() => /has more bytes, not 5/.test(health().reason ?? ''), 'the node says that it is longer')
    await until(async () => (await wholeAt(agents[0]!)).includes(nextCid), 'the next one comes')
    await until(() => /has more bytes, not 5/.test(health().reason ?? ''), 'it still says so')
    // and it was not fetched to its end: a file without end would not be either
    const info = (await agents[0]!
      .call('info', { file: longCid }, { service: 'files' })
      .catch(() => undefined)) as { isWhole: boolean } | undefined
    ok(info?.isWhole !== true)
    ok((await showings(agents[0]!, 'tv-a')).every(({ campaign }) => campaign === 'big'))
  })

  it('go on while the node is alone, and after it was killed: every showing is reported to who keeps its log', async () => {
    await using fleet = createFleet()
    const folder = await mkdtemp(join(tmpdir(), 'artel-tv-'))
    try {
      const { place, tv } = await fleet.tv('tv-1')
      const operator = await fleet.start()
      const witness = await fleet.start({}, { devices: { allowedPeers: ['*'] } })
      const identity = await createIdentity()
      const settings = { tvs: [place], grants: [`${operator.id} ${ALL}`] }
      const options = { folder, identity, devices: { witnessPeers: [witness.id] } }
      const agent = await fleet.start(settings, options)
      await operator.up(1)
      const film = randomBytes(200_000)
      await set(operator, 'alone', [`${await operator.share(film)} 0.2 video/mp4`])
      const card = {
        name: 'loud',
        on: '*',
        triggers: [{ when: 'volume>13', do: [{ operation: 'sound.volume', args: { level: 5 } }] }]
      }
      await operator.call('setCard', card)
      await until(() => tv.shown.length > 2, 'it is shown')
      await until(
        async () =>
          (await operator.call<{ items: { late: object[] }[] }>('cards')).items[0]!.late.length === 0,
        'the card is there'
      )
      // the cable to everybody else is out
      await operator.stop()
      for (const connection of agent.host.libp2p.getConnections()) connection.abort(new Error('cut'))
      const before = tv.shown.length
      tv.volume = 15
      await until(() => tv.volume === 5, 'its trigger acts')
      await until(() => tv.shown.length > before + 3, 'it goes on')
      await agent.stop()
      const again = await fleet.start(settings, options)
      await until(() => tv.shown.length > before + 6, 'and after a restart')
      await isProved(again, tv, 'tv-1', [film])
      const all = await showings(again, 'tv-1')
      ok(all.filter(({ is }) => is === 'cut').length <= 1)
      equal(all.filter(({ is }) => is === 'failed').length, 0)
      const fired = (await again.entries('tv:tv-1')).filter(({ kind }) => kind === 'trigger')
      deepEqual(
        fired.map(({ body }) => body.did),
        [['sound.volume: done']]
      )
      // who keeps its log has what happened meanwhile
      await again.host.connect(witness.host)
      await until(async () => (await showings(witness, 'tv-1')).length >= all.length, 'it has all')
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('show no half file: a TV that is full makes room by what is over, one unplugged while it is written begins anew', async () => {
    await using fleet = createFleet()
    const MB = 1024 * 1024
    const { place, tv, daemon } = await fleet.tv('tv-1', '', new FakeTv({ room: 34 * MB + 200_000 }))
    const node = await fleet.start({ tvs: [place] })
    await node.up(1)
    const [old, next] = [randomBytes(MB), randomBytes(MB + 300_000)]
    const oldFile = `${await node.share(old)} 0.2 video/mp4`
    await set(node, 'old', [oldFile])
    await until(() => tv.shown.length > 0, 'the old one is shown')
    await set(node, 'old', [oldFile], { end: new Date(Date.now() + 3_000).toISOString() })
    tv.files.set('/sdcard/artel/left.part', randomBytes(500_000))
    await until(async () => (await rowsOf(node))[0]!.tvs[0]!.isShowing === false, 'it is over')
    // unplugged in the middle, twice
    daemon.cutAfterBytes = 400_000
    await set(node, 'next', [`${await node.share(next)} 0.2 video/mp4`])
    await until(() => daemon.cutAfterBytes == null, 'it was cut')
    daemon.cutAfterBytes = 900_000
    await until(() => tv.shownHashes.includes(sha256(next)), 'the next one is shown')
    equal(tv.files.has('/sdcard/artel/left.part'), false)
    await isProved(node, tv, 'tv-1', [old, next])
    // a file that is gone is brought again
    for (const path of tv.files.keys()) tv.files.delete(path)
    const shown = tv.shown.length
    await until(() => tv.shown.length > shown + 1, 'it is there again')
    const enough = randomBytes(40 * MB)
    await set(node, 'huge', [`${await node.share(enough)} 0.2 video/mp4`], { priority: 99 })
    const health = () => node.host.services.health().find(({ service }) => service === 'tv')!
    await until(() => /no room/.test(health().reason ?? ''), 'the node says so')
    const count = tv.shown.length
    await until(() => tv.shown.length > count, 'what is complete goes on')
    const small = randomBytes(1_000)
    await set(node, 'later', [`${await node.share(small)} 0.2 video/mp4`], { priority: 98 })
    await until(() => tv.shownHashes.includes(sha256(small)), 'what has room comes all the same')
    await isProved(node, tv, 'tv-1', [old, next, small])
  })
})
