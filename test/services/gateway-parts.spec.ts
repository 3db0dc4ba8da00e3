import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import type { Job } from '../../scheduler/index.ts'
import { openIdempotency } from '../../services/compute/idempotency.ts'
import { createEndings } from '../../services/gateway/accounts/index.ts'
import { createEventHub } from '../../services/gateway/events/events.ts'
import { createOutbox } from '../../services/gateway/events/outbox.ts'
import { createRate } from '../../services/gateway/http/rate.ts'
import { openTokens } from '../../services/gateway/http/tokens.ts'
import { toWire } from '../../services/index.ts'
import { until } from '../bootstrap/nodes.ts'

const jobOf = (id: string) => ({ id }) as Job

describe('gateway: its parts', () => {
  it('tells the rest where a service tells what is no value', async () => {
    const none = { addEventListener() {}, removeEventListener() {} }
    const services = new EventTarget()
    const failed: unknown[] = []
    const log = { error: (_: string, type: string) => failed.push(type) }
    const hub = createEventHub(
      {
        scheduler: none,
        ledger: { ...none, account: 'a', balance: () => ({}), supply: () => ({}) },
        node: { peers: () => [], usage: () => ({}) },
        services,
        logger: { forComponent: () => log }
      } as never,
      Date.now
    )
    const told = Promise.withResolvers<void>()
    const sink = {
      waiting: 0,
      send(bytes: string | Uint8Array) {
        const { type } = decodeValue(bytes as Uint8Array) as { type: string }
        if (type === 'shop:good') told.resolve()
      },
      drop() {}
    }
    const leave = hub.add(sink, { asValues: true, mayReadNode: true, mayRead: () => true })
    const heard: string[] = []
    const ofShop = {
      ...sink,
      send: (text: string | Uint8Array) => void heard.push(JSON.parse(String(text)).type)
    }
    const end = hub.add(ofShop, { asValues: false, mayReadNode: false, mayRead: name => name === 'shop' })
    const tell = (type: string, value: unknown) =>
      services.dispatchEvent(new CustomEvent('tell', { detail: { type, value } }))
    tell('shop:bad', () => 'a function')
    tell('bank:good', 1)
    tell('shop:good', 1)
    await told.promise
    leave()
    end()
    assert.deepEqual([...new Set(heard)].sort(), ['here', 'shop:good'], 'of the node nothing')
    assert.deepEqual(failed, ['shop:bad'])
  })

  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-parts-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('gives a retry after a crash the id that the first try had', async () => {
    const wish = { key: 'k', owner: 'me', content: 'c' }
    const ids: string[] = []
    const before = openIdempotency(folder, Date.now)
    // never answered: the process ends in the middle
    void before.once(
      wish,
      () => undefined,
      id => {
        ids.push(id)
        return new Promise(() => {})
      }
    )
    await until(() => ids.length === 1, 'its id is on the disk, and the job begins')
    before.close()
    const after = openIdempotency(folder, Date.now)
    const start = async (id: string) => {
      ids.push(id)
      return jobOf(id)
    }
    await after.once(wish, () => undefined, start)
    assert.equal(ids[1], ids[0])
    // another's key of the same name is another key
    await after.once({ ...wish, owner: 'you' }, () => undefined, start)
    assert.notEqual(ids[2], ids[0])
    const found = await after.once(wish, jobOf, () => assert.fail('it is there already'))
    assert.equal(found.id, ids[0])
    after.close()
  })

  it('keeps the order for a reader that keeps up, and the newest for one that does not', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), takes: fc.nat(3) }), { maxLength: 60 }),
        fc.boolean(),
        (puts, isFast) => {
          const got: string[] = []
          const under: (() => void)[] = []
          let most = 0
          // the network takes one text at a time
          const sink = {
            get waiting() {
              return under.length === 0 ? 0 : 1e9
            },
            send: (text: string, sent: () => void) => {
              got.push(text)
              under.push(sent)
              most = Math.max(most, under.length)
              if (isFast) under.pop()!()
            },
            drop: () => assert.fail('three keys are not too many')
          }
          const outbox = createOutbox(sink)
          puts.forEach(({ key, takes }, i) => {
            outbox.put(key, `${key}${i}`)
            for (let taken = 0; taken < takes; taken++) under.pop()?.()
          })
          while (under.length > 0) under.pop()!()
          assert.ok(most <= 1)
          const order = got.map(text => Number(text.slice(1)))
          assert.deepEqual(
            order,
            order.toSorted((a, b) => a - b)
          )
          if (isFast) assert.equal(got.length, puts.length)
          for (const key of ['a', 'b', 'c']) {
            const last = puts.findLastIndex(put => put.key === key)
            if (last >= 0) assert.ok(got.includes(`${key}${last}`), 'the newest of each arrives')
          }
        }
      )
    )
  })

  it('lets a reader go who is behind by too much', () => {
    let dropped = 0
    const outbox = createOutbox({ waiting: 1e9, send: () => assert.fail(), drop: () => dropped++ })
    for (let i = 0; i < 10_000 && dropped === 0; i++) outbox.put(String(i), '')
    assert.equal(dropped, 1)
  })

  it('shows every value that can travel as JSON, and changes none that JSON has', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        assert.deepEqual(
          JSON.parse(toWire(decodeValue(encodeValue(value)))),
          JSON.parse(JSON.stringify(value))
        )
      })
    )
    assert.equal(
      toWire([1n, new Uint8Array([1]), new Float32Array([0.5]), Number.NaN]),
      '["1","AQ==",[0.5],null]'
    )
  })

  it('counts requests by window', () => {
    let now = 0
    const rate = createRate(() => now)
    const most = () => {
      let count = 0
      while (rate.stranger('1.2.3.4')) count++
      return count
    }
    const first = most()
    assert.ok(first > 0)
    assert.ok(rate.stranger('1.2.3.5'))
    assert.ok(rate.known('admin'))
    now += rate.retryAfter * 1000
    assert.equal(most(), first)
  })

  it('ends tokens when their time is over, also those in use', async () => {
    let now = 1000
    const tokens = await openTokens(folder, createEndings(), () => now)
    const { token, id } = await tokens.add({ name: 'guest', scopes: ['read'], expires: 2000 })
    assert.equal(tokens.find(token)?.id, id)
    const again = await openTokens(folder, createEndings(), () => now)
    assert.equal(again.admin, tokens.admin)
    assert.deepEqual(again.find(token)?.scopes, ['read'])
    now = 2000
    assert.equal(tokens.find(token), undefined)
    assert.ok(!tokens.holds(id))
    assert.ok(tokens.holds('admin'))
  })
})
