import { deepEqual, equal, match, throws } from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { isOld, onValue, rateOf } from '../../../services/devices/alerts/decide.ts'
import { matches } from '../../../services/devices/alerts/rule.ts'
import type { Alert } from '../../../services/devices/alerts/store.ts'
import { createTell, earlier } from '../../../services/devices/alerts/tell.ts'
import type { Device, Devices } from '../../../services/devices/index.ts'
import { declare, devices, OWNER, service } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'
import { AGENT, log, ruleOf, signal, teller, URL_ONE, world } from './alert-world.ts'

describe('devices: rules of alerts', () => {
  it('fire beyond a limit once it has lasted, and are over at another one', () => {
    const { value, later, states } = world([{ reading: 'load', above: 10, clear: 5, forSeconds: 60 }])
    value(10)
    deepEqual(states(), [])
    value(11)
    deepEqual(states(), ['pending'])
    later(30_000)
    value(9)
    deepEqual(states(), [], 'it did not last')
    value(11)
    later(60_000)
    deepEqual(states(), ['firing'], 'time alone is enough: the value was said last')
    value(7)
    deepEqual(states(), ['firing'], 'between the two limits')
    value(5)
    deepEqual(states(), ['resolved'])
  })

  it('never flap between limit and clear, whichever way they point', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -20, max: 20 })), fc.boolean(), (values, isAbove) => {
        const condition = isAbove ? { above: 5, clear: -5 } : { below: -5, clear: 5 }
        let isFiring = false
        for (const value of values) {
          const open = isFiring ? ({ state: 'firing', openedAt: 0, heardAt: 0 } as const) : undefined
          const step = onValue({ ...condition, forSeconds: 0 }, open, value, 0)
          const beyond = isAbove ? value > 5 : value < -5
          const clear = isAbove ? value <= -5 : value >= 5
          equal(step, !isFiring && beyond ? 'firing' : isFiring && clear ? 'resolved' : undefined)
          isFiring = step === 'firing' || (isFiring && step !== 'resolved')
        }
      })
    )
  })

  it('are about growth where they say in how many seconds', () => {
    equal(rateOf({ at: 0, value: 10 }, { at: 2_000, value: 14 }, 60), 120)
    equal(rateOf({ at: 5, value: 10 }, { at: 5, value: 14 }, 60), undefined)
    const { value, later, states } = world([{ reading: 'load', above: 100, perSeconds: 60 }])
    value(1_000)
    later(60_000)
    value(1_100)
    deepEqual(states(), [])
    later(60_000)
    value(1_201)
    deepEqual(states(), ['firing'])
  })

  it('fire for a device that is silent, also one that was so before, and are over when it speaks', () => {
    const { value, later, store } = world(
      [{ devices: 'host:*', absentSeconds: 60 }],
      ['host:1', 'host:2', 'sas:1']
    )
    value(1)
    later(59_000)
    deepEqual(store.list(undefined, 10), [])
    value(1)
    later(1_000)
    deepEqual(
      store.list(undefined, 10).map(({ device, state }) => [device, state]),
      [['host:2', 'firing']]
    )
    later(60_000)
    equal(store.list('firing', 10).length, 2)
    value(1)
    deepEqual(
      store.list('firing', 10).map(({ device }) => device),
      ['host:2']
    )
  })

  it('wait for nothing that another board has taken over', () => {
    const { later, replace, store } = world([{ absentSeconds: 60 }], ['host:1', 'host:2'])
    replace('host:2')
    later(60_000)
    const firing = () => store.list('firing', 10).map(({ device }) => device)
    deepEqual(firing(), ['host:1'])
    replace('host:1')
    later(1_000)
    deepEqual(firing(), ['host:2'], 'it is over, and the other one is waited for again')
  })

  it('fire for silence also where they are written again and again', () => {
    const absent = { absentSeconds: 60 }
    const { later, store, now } = world([absent], ['host:1'])
    for (let i = 0; i < 3; i++) {
      later(60_000)
      equal(store.list('firing', 9).length, 1)
      store.setRule(ruleOf(absent), now())
      equal(store.list('firing', 9).length, 0)
    }
  })

  it('fire once for events until somebody has looked, and count them', () => {
    const { say, store, states } = world([
      { devices: 'sas:*', event: 'exception', field: 'code', equals: '17' }
    ])
    const event = (code: number) =>
      say({ class: 'account', device: 'sas:7', kind: 'exception', body: { code } })
    event(16)
    deepEqual(states(), [])
    event(17)
    event(17)
    const [alert] = store.list('open', 10)
    equal(alert!.count, 2)
    deepEqual(alert!.value, { code: 17 })
    store.acknowledge(alert!.key, 'ann', 'on my way', 5)
    deepEqual(store.list('acknowledged', 10)[0]!.acknowledgedBy, 'ann')
    event(17)
    deepEqual(states().sort(), ['firing', 'resolved'])
  })

  it('are not about what is older, unless nobody has set the clock', () => {
    equal(isOld({ since: 5 }, 4, 'ntp'), true)
    equal(isOld({ since: 5 }, 4, 'unset'), false)
    const { value, states, now } = world([{ reading: 'load', above: 10 }])
    value(11, { at: now() - 1 })
    deepEqual(states(), [])
    value(11)
    deepEqual(states(), ['firing'])
  })

  it('have one condition that makes sense, and patterns with any number of *', () => {
    for (const wrong of [
      {},
      { above: 1 },
      { reading: 'x', above: 1, below: 2 },
      { absentSeconds: 5, reading: 'x' },
      { event: 'x', field: 'y' },
      { reading: 'x', above: 1, clear: 2 },
      { reading: 'x', below: 1, clear: 0 },
      { event: 'x', forSeconds: 3 }
    ])
      throws(() => ruleOf(wrong), /name|rule|reading|clear|belong/)
    const cases: [string, string, boolean][] = [
      ['*', 'sas:1', true],
      ['sas:*', 'sas:', true],
      ['sas:*', 'host:sas:', false],
      ['*:1', 'sas:1', true],
      ['s*s:*1', 'sas:71', true],
      ['a*a', 'a', false],
      ['sas:1', 'sas:12', false],
      ['*a*b*', 'xbxa', false]
    ]
    for (const [pattern, id, is] of cases) equal(matches(pattern, id), is, `${pattern} ${id}`)
  })
})

describe('devices: who hears of alerts', () => {
  const hot = [{ reading: 'load', above: 10 }]

  it('hear once of each, together what has one cause, and that it is over', async () => {
    const it = world(hot)
    const { posted, round } = teller('a', [], it)
    for (const device of ['host:1', 'host:2']) it.value(11, { device })
    await round()
    equal(posted.length, 0, 'others may follow')
    it.later(2_000)
    await round()
    await round()
    equal(posted.length, 1)
    equal(posted[0]!.keys.length, 2)
    it.value(1)
    it.later(2_000)
    await round()
    deepEqual(
      posted.map(({ type, keys }) => [type, keys.length]),
      [
        ['alert.firing', 2],
        ['alert.resolved', 1]
      ]
    )
  })

  it('hear nothing in a silence, and then what still fires; nor of what somebody looks after', async () => {
    const it = world(hot)
    const { posted, round } = teller('a', [], it)
    const id = it.store.silence({ devices: 'host:*', until: it.now() + 1e6, why: 'w', by: 'ann' }, it.now())
    it.value(11)
    it.value(11, { device: 'host:2' })
    it.later(5_000)
    await round()
    equal(posted.length, 0)
    it.store.acknowledge(
      it.store.list('firing', 9).find(({ device }) => device === 'host:2')!.key,
      'ann',
      undefined,
      1
    )
    it.store.endSilence(id)
    await round()
    deepEqual(
      posted.map(({ keys }) => keys.length),
      [1]
    )
  })

  it('hear from one of two nodes; from the other where the first does not come to it, under the same key', async () => {
    const both = ['a', 'b']
    const later = both.find(self => earlier(self, both, { rule: 'r', agent: AGENT }).length === 1)!
    const first = both.find(self => self !== later)!
    const [one, two] = [world(hot), world(hot)]
    for (const each of [one, two]) each.value(11)
    const a = teller(first, both, one)
    const asks: string[][] = []
    const b = teller(later, both, two, async () => {
      const keys = one.store.areTold(
        one.store.list(undefined, 9).map(({ key }) => key),
        1
      )
      asks.push(keys.keys)
      return keys
    })
    for (const each of [one, two]) each.later(2_000)
    await a.round()
    await b.round()
    equal(a.posted.length, 1)
    two.later(31_000)
    await b.round()
    equal(asks.length, 1)
    equal(b.posted.length, 0, 'the first has told it')

    // the first is killed before it comes to the next
    for (const each of [one, two]) each.value(11, { device: 'host:2' })
    const dead = teller(later, both, two, async () => {
      throw new Error('unreachable')
    })
    two.later(2_000)
    await dead.round()
    equal(dead.posted.length, 0)
    two.later(31_000)
    await dead.round()
    equal(dead.posted.length, 1)
    one.later(2_000)
    await a.round()
    equal(a.posted[1]!.id, dead.posted[0]!.id, 'a receiver knows it by its key')
  })

  it('hear one message where a node is killed before it has written down that it told, and comes back', async () => {
    const both = ['a', 'b']
    const later = both.find(self => earlier(self, both, { rule: 'r', agent: AGENT }).length === 1)!
    const first = both.find(self => self !== later)!
    const [one, two] = [world(hot), world(hot)]
    for (const each of [one, two]) {
      each.value(11)
      each.later(2_000)
    }
    one.isKilled = true
    const killed = teller(first, both, one)
    void killed.round()
    await new Promise(setImmediate)
    equal(killed.posted.length, 1)
    const alone = teller(later, both, two, async () => {
      throw new Error('unreachable')
    })
    two.later(31_000)
    await alone.round()
    one.isKilled = false
    const back = teller(first, both, one, async (_, keys, step) => two.store.areTold(keys, step))
    one.later(40_000)
    for (let i = 0; i < 3; i++) for (const each of [back, alone]) await each.round()
    deepEqual([alone.posted.length, back.posted.length], [1, 0])
    equal(alone.posted[0]!.id, killed.posted[0]!.id, 'a receiver knows by its key that it is one')
  })

  it('hear it though another one is away, which is told of until it is no receiver', async () => {
    const it = world(hot)
    const [good, bad] = ['https://good.example/', 'https://bad.example/']
    let urls = [good, bad]
    const heard = new Set<string>()
    let state: string | undefined
    const tell = createTell({
      store: it.store,
      self: 'a',
      others: () => [],
      urls: () => urls,
      lastUrls: () => [],
      async post(url, headers) {
        if (url === bad) throw new Error('it is down')
        heard.add(headers['idempotency-key']!)
      },
      areTold: async () => ({ keys: [], escalated: [] }),
      sign: () => new Uint8Array(64),
      now: it.now,
      onState: reason => {
        state = reason
      },
      log
    })
    // each agent's alert is a message of its own
    const AGENTS = 250
    for (let i = 0; i < AGENTS; i++) it.value(11, { agent: `agent-${i}` })
    it.later(2_000)
    for (let i = 0; i < 6; i++) await tell.round(signal)
    equal(heard.size, AGENTS)
    match(state!, /bad\.example.*it is down/)
    urls = [good]
    for (let i = 0; i < 6; i++) await tell.round(signal)
    equal(state, undefined)
    deepEqual(it.store.messages([]), [])
  })

  it('hear later what they do not take, also after a start', async () => {
    const it = world(hot)
    const states: (string | undefined)[] = []
    let isDown = true
    const init = {
      store: it.store,
      self: 'a',
      others: () => [],
      urls: () => [URL_ONE],
      lastUrls: () => [],
      post: async () => {
        if (isDown) throw new Error('it is down')
      },
      areTold: async () => ({ keys: [], escalated: [] }),
      sign: () => new Uint8Array(64),
      now: it.now,
      onState: (reason: string | undefined) => void states.push(reason),
      log
    }
    it.value(11)
    it.later(2_000)
    await createTell(init).round(signal)
    match(states.at(-1)!, /it is down/)
    equal(it.store.messages([]).length, 1)
    isDown = false
    await createTell(init).round(signal)
    equal(it.store.messages([]).length, 0)
    equal(states.at(-1), undefined)
  })
})

describe('devices: alerts of a node', function () {
  this.timeout(600_000)

  it('go from a reading to a receiver that can tell who says so, and are acknowledged', async () => {
    let meter: Device | undefined
    const driver = service(
      declare({ name: 'test-driver', version: 1, summary: 't', operations: {}, needs: ['devices'] }),
      async () => async host => ({
        operations: {},
        async start() {
          const { open } = (host.use as { devices: Devices }).devices
          meter = await open({
            kind: 'meter',
            serial: '7',
            name: 'cellar',
            readings: { volts: { type: 'number', unit: 'V' } },
            events: {}
          })
        }
      })
    )
    const heard: { body: string; headers: Record<string, string> }[] = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      heard.push({ body, headers: request.headers as Record<string, string> })
      response.end()
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const at = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const url = `http://${at}/hook`
    await using host = await startHost({
      modules: [devices, driver],
      settings: { devices: { alertUrls: [url, 'http://127.0.0.1:1/'], alertHosts: [at, '127.0.0.1:1'] } }
    })
    try {
      const call = <T>(operation: string, input: object): Promise<T> =>
        host.services.call('devices', operation, input, { caller: OWNER }) as Promise<T>
      await until(() => meter != null, 'the driver runs')
      await call('setRule', { name: 'low', devices: 'meter:*', reading: 'volts', below: 200, clear: 210 })
      await meter!.sample({ volts: 199 })
      const told = (type: string) => heard.some(({ body }) => body.includes(`"type":"${type}"`))
      await until(() => told('alert.firing'), 'the receiver has it')
      const { items } = await call<{ items: { secret: string }[] }>('receivers', {})
      const said = new Webhook(items[0]!.secret).verify(heard[0]!.body, heard[0]!.headers) as {
        type: string
        data: { alerts: Alert[] }
      }
      const [alert] = said.data.alerts
      deepEqual([said.type, alert!.device, alert!.value], ['alert.firing', 'meter:7', 199])
      const acknowledged = await call<Alert>('acknowledge', { key: alert!.key, note: 'fuse' })
      deepEqual([acknowledged.state, acknowledged.acknowledgedBy], ['acknowledged', 'owner'])
      await meter!.sample({ volts: 230 })
      await until(() => told('alert.resolved'), 'the receiver hears that it is over')
      const health = () => host.services.health().find(({ service }) => service === 'devices')!
      await until(
        () => health().reason?.includes('receivers: http://127.0.0.1:1/ does not take alerts') === true,
        'the node says who does not hear'
      )
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })
})
