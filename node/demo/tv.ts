import { join } from 'node:path'
import type { Demo } from './contract.ts'
import { verifyLog } from './devices.ts'
import { openServiceNetwork, type ServiceNode } from './service-network.ts'
import { until } from './stage.ts'
import { createSteps } from './steps.ts'
import { startWall } from './tv-wall.ts'

const TVS = 30
const AGENTS = 4
const FILES = 12
const FILE_BYTES = 1_000_000
const SHOWN_SECONDS = 0.5
const HOME = 3
const WAIT_MS = 240_000
const ALL = ['read', 'control', 'power*', 'campaign', 'card']
const PNG_START = 'iVBORw0KGgo'

interface Outcome {
  tv: string
  is: string
  why?: string
}
interface Listed {
  items: { name: string; lamp: string; readings: Record<string, unknown> }[]
}
interface Event {
  kind: string
  body: Record<string, unknown>
}

/** Simulated TVs that speak the true protocol, nodes beside them, operators elsewhere, and what goes wrong between. */
export const tv: Demo = {
  summary:
    'thirty simulated TVs behind four nodes: keys, power, pictures; a campaign whose source is killed half way, a card without a network, one holder of a TV',
  async run(stage) {
    const { step, played } = createSteps(stage.say)
    await using ended = new AsyncDisposableStack()
    const wall = ended.use(await startWall(TVS))
    const network = ended.use(await openServiceNetwork(join(stage.folder, 'nodes'), 'tv'))
    const kept = { drivers: { files: {}, devices: { allowedPeers: ['*'] } } }
    const owning = { drivers: { files: {}, devices: { allowedPeers: ['*'], fleetOwners: ['self'] } } }
    const one = await network.start('operator one', owning)
    const following = {
      drivers: { ...kept.drivers, devices: { allowedPeers: ['*'], fleetOwners: [one.id] } }
    }
    let two = await network.start('operator two', following)
    const addresses = await wall.addresses()
    const names = addresses.map((_, i) => `tv-${i + 1}`)
    const environment = await wall.environment()
    const agents: ServiceNode[] = []
    for (let i = 0; i < AGENTS; i++) {
      const own = names.flatMap((name, at) =>
        at % AGENTS === i ? [`${name} ${addresses[at]} line=${i + 1}`] : []
      )
      const settings = {
        tvs: own,
        relays: i === 0 ? ['tv-1 gpiochip0:1'] : [],
        lookSeconds: 1,
        drivers: { files: {}, devices: { witnessPeers: [one.id], fleetOwners: [one.id] } }
      }
      agents.push(await network.start(`node ${i + 1}`, settings, environment))
    }
    const beside = <T>(node: ServiceNode, service: string, operation: string, input: object): Promise<T> =>
      node.call('beside', { service, operation, input })
    const grants = [one, two].map(({ id }) => ({ peer: id, devices: 'tv:*', commands: ALL, risk: 2 }))
    await beside(one, 'devices', 'setFleet', {
      after: 0,
      wishes: { agents: agents.map(({ id }) => id), settings: [], grants }
    })
    const act = async (
      node: ServiceNode,
      operation: string,
      on: string,
      args: object = {}
    ): Promise<Outcome[]> =>
      (
        await node.call<{ items: Outcome[] }>('do', {
          operation,
          on,
          args,
          atOnce: 150,
          canary: 0,
          stopAt: 100
        })
      ).items
    const isDone = (items: Outcome[], count: number): boolean =>
      items.length === count &&
      items.every(({ is }) => is === 'done') &&
      new Set(items.map(each => each.tv)).size === count
    const failures = (items: Outcome[]): string =>
      items
        .filter(({ is }) => is !== 'done')
        .slice(0, 3)
        .map(each => `${each.tv}: ${each.is} ${each.why ?? ''}`)
        .join('; ')

    await step('an operator sees all TVs', async () => {
      const up = async (): Promise<number> =>
        (await one.call<Listed>('list', { on: '*' })).items.filter(
          ({ lamp, readings }) => lamp === 'shell' && 'volume' in readings
        ).length
      await until('all to be up', async () => (await up()) === TVS, WAIT_MS)
      return { right: true, detail: `${TVS} of ${TVS}, behind ${AGENTS} nodes` }
    })
    await step('keys, source, volume and playback', async () => {
      const url = 'https://example.org/spot.mp4'
      const doing: [string, object][] = [
        ['key.home', {}],
        ['source.hdmi3', {}],
        ['sound.volume', { level: 7 }],
        ['play.video', { url }],
        ['play.pause', {}]
      ]
      const wrong: string[] = []
      for (const [operation, args] of doing) {
        const items = await act(one, operation, '*', args)
        if (!isDone(items, TVS)) wrong.push(`${operation}: ${items.length} of ${TVS}, ${failures(items)}`)
      }
      const right = (await wall.state()).every(
        each =>
          each.keys.filter(key => key === HOME).length === 1 &&
          each.source === 'HDMI3' &&
          each.volume === 7 &&
          each.playback === 2
      )
      return {
        right: right && wrong.length === 0,
        detail:
          wrong.join(' | ') ||
          `${doing.length} operations on ${TVS} TVs, each once, each looked at afterwards`
      }
    })
    await step('a picture of the screen', async () => {
      const { png } = await two.call<{ png: Uint8Array }>('picture', { on: 'name=tv-17', small: false })
      const right = Buffer.from(png).toString('base64').startsWith(PNG_START)
      return { right, detail: `${png.length} bytes of PNG from tv-17` }
    })
    await step('power by the relay', async () => {
      const items = await act(one, 'power.cycle', 'name=tv-1')
      const { calls, holder } = await wall.relay()
      const [first] = await wall.state()
      return {
        right: isDone(items, 1) && calls.length === 1 && holder == null && first!.hasPower,
        detail:
          failures(items) ||
          `tv-1 was asleep, then off for 10 s, and answers again: gpioset ${calls.join(', ')}`
      }
    })
    await step('two operators, one TV, one holder', async () => {
      const book = (node: ServiceNode): Promise<{ items: { held: boolean }[] }> =>
        node.call('book', { on: 'name=tv-2', minutes: 5, why: 'demo', override: false })
      const both = await Promise.all([book(one), book(two)])
      const [isOne, isTwo] = both.map(({ items }) => items[0]?.held === true)
      const [holder, other] = isOne ? [one, two] : [two, one]
      const [refused] = await act(other, 'sound.volume', 'name=tv-2', { level: 1 })
      const [done] = await act(holder, 'sound.volume', 'name=tv-2', { level: 9 })
      const { volume } = (await wall.state())[1]!
      await holder.call('release', { on: 'name=tv-2' })
      return {
        right: isOne !== isTwo && refused?.is === 'failed' && done?.is === 'done' && volume === 9,
        detail: `${holder.name} holds tv-2; ${other.name}: ${refused?.why}`
      }
    })

    const wholeAt = async (node: ServiceNode): Promise<string[]> =>
      (
        await beside<{ items: { cid: string; isWhole: boolean }[] }>(node, 'files', 'list', { limit: 100 })
      ).items
        .filter(({ isWhole }) => isWhole)
        .map(({ cid }) => cid)
    await step('a campaign is uploaded once, and its source killed half way', async () => {
      const cids: string[] = []
      for (let i = 0; i < FILES; i++) {
        const { cid } = await two.call<{ cid: string }>('seeded', { seed: `spot ${i}`, bytes: FILE_BYTES })
        cids.push(cid)
      }
      const files = cids.map(cid => `${cid} ${SHOWN_SECONDS} video/mp4`)
      const end = new Date(Date.now() + 3_600_000).toISOString()
      await two.call('setCampaign', {
        name: 'winter',
        on: '*',
        files,
        end,
        schedule: [],
        priority: 50,
        advertiser: ''
      })
      const late = async (): Promise<number> =>
        (await two.call<{ items: { late: unknown[] }[] }>('campaigns')).items[0]!.late.length
      await until('all nodes to know of it', async () => (await late()) === 0, WAIT_MS)
      let parts: string[][] = []
      await until(
        'them to have all of it together',
        async () => {
          parts = await Promise.all(agents.map(wholeAt))
          return new Set(parts.flat()).size === FILES
        },
        WAIT_MS
      )
      await two.kill()
      const before = parts.flat().length
      await until(
        'each to have all of it',
        async () => (await Promise.all(agents.map(wholeAt))).every(each => each.length === FILES),
        WAIT_MS
      )
      return {
        right: before < FILES * AGENTS,
        detail: `${before} of ${FILES * AGENTS} copies when it was killed; the nodes had the rest from each other`
      }
    })
    await step('each TV shows all of it', async () => {
      const isAll = async (): Promise<boolean> =>
        (await wall.state()).every(({ shown }) => new Set(shown).size === FILES)
      await until('all TVs to have shown all', isAll, WAIT_MS)
      return { right: true, detail: `${FILES} files on ${TVS} TVs` }
    })
    await step('the proof of play is complete', async () => {
      // its issuer comes back and ends it, so that there is something to count
      two = await network.start('operator two', following)
      await two.call('endCampaign', { name: 'winter' })
      const proved = async (): Promise<number[]> =>
        Promise.all(
          names.map(async (name, i) => {
            const { items } = await beside<{ items: Event[] }>(agents[i % AGENTS]!, 'devices', 'events', {
              device: `tv:${name}`,
              limit: 1000
            })
            return items.filter(({ kind, body }) => kind === 'showing' && body.is === 'shown').length
          })
        )
      const isOver = async (): Promise<boolean> =>
        (await one.call<Listed>('list', { on: '*' })).items.every(({ readings }) => readings.campaign === '')
      await until('it to be over', isOver, WAIT_MS)
      const shown = (await wall.state()).map(each => each.shown.length)
      let entries: number[] = []
      await until(
        'an entry for each showing',
        async () => {
          entries = await proved()
          return entries.every((count, i) => count >= shown[i]!)
        },
        WAIT_MS
      )
      const sum = (list: number[]): number => list.reduce((all, each) => all + each, 0)
      return {
        right: entries.every((count, i) => count === shown[i]),
        detail: `${sum(shown)} showings on the TVs, ${sum(entries)} in the logs`
      }
    })
    await step('a card acts without a network', async () => {
      const trigger = {
        when: 'volume>12',
        for: 0,
        cooldown: 60,
        do: [{ operation: 'sound.volume', args: { level: 4 } }]
      }
      await one.call('setCard', { name: 'quiet', on: 'line=4', triggers: [trigger], fields: [], buttons: [] })
      const late = async (): Promise<number> =>
        (await one.call<{ items: { late: unknown[] }[] }>('cards')).items[0]!.late.length
      await until('its node to have it', async () => (await late()) === 0, WAIT_MS)
      await agents[3]!.call('alone')
      await wall.setVolume(3, 15)
      await until('it to act', async () => (await wall.state())[3]!.volume === 4, WAIT_MS)
      const fired = async (): Promise<Event[]> =>
        (
          await beside<{ items: Event[] }>(agents[3]!, 'devices', 'events', {
            device: 'tv:tv-4',
            limit: 1000
          })
        ).items.filter(({ kind }) => kind === 'trigger')
      await until('it to be in the log', async () => (await fired()).length > 0, WAIT_MS)
      const all = await fired()
      return { right: all.length === 1, detail: `tv-4 was too loud: ${String(all[0]?.body.did)}` }
    })
    await step('the log verifies without a node, and nothing got out of its quotes', async () => {
      const file = join(stage.folder, 'node-1.log')
      await beside(agents[0]!, 'devices', 'export', { path: file })
      const { isRight, last, witnesses, faults } = await verifyLog(file)
      const escapes = (await wall.state()).flatMap(each => each.escapes)
      return {
        right: isRight && witnesses.length === 1 && escapes.length === 0,
        detail: isRight ? `entries 0 to ${last}, signed by ${witnesses.length} witness` : faults.join('; ')
      }
    })
    const nodesEnded = await network.end()
    const { holder } = await wall.relay()
    const isClean = nodesEnded && holder == null && (await wall.end()) === 0
    return played(isClean, { nodesEnded: isClean })
  }
}
