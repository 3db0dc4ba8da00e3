import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createIdentity } from '../../../bootstrap/index.ts'
import { devices, OWNER, sas } from '../../../services/index.ts'
import { orderOf, textOfOrder } from '../../../services/sas/money/order.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'
import { Machine } from './machine.ts'
import { TcpWire } from './wire.ts'

const KEY = '00112233445566778899aabbccddeeff00112233'
const SETTINGS = { answerMs: 500, pollMs: 1, meterSeconds: 60 }
const LONG_MS = 60_000

interface Paid {
  id: string
  is: string
  why?: string
}
interface Item extends Paid {
  amount: string
  signers: string[]
}
type Node = Awaited<ReturnType<typeof startHost>>

const call = <T>(node: Node, operation: string, input: object = {}, service = 'sas'): Promise<T> =>
  node.services.call(service, operation, input as never, { caller: OWNER }) as Promise<T>

describe('sas: money on the wire', () => {
  let folder: string
  let path: string
  let agentId: Awaited<ReturnType<typeof createIdentity>>
  let first: Node
  let second: Node
  let stranger: Node
  let wire: TcpWire
  let line: string
  let plain: Machine
  let registered: Machine
  const all = new AsyncDisposableStack()

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-sas-money-'))
    all.defer(() => rm(folder, { recursive: true, force: true }))
    path = join(folder, 'money.json')
    agentId = await createIdentity()
    const one = async (): Promise<Node> => all.use(await startHost({ modules: [sas, devices] }))
    ;[first, second, stranger] = [await one(), await one(), await one()]
    plain = new Machine({ address: 1, serial: 'plain' })
    registered = new Machine({
      address: 2,
      serial: 'registered',
      transferMs: 50,
      registered: { asset: 4711, key: KEY }
    })
    registered.add(0x17, 500)
    wire = all.use(new TcpWire([plain, registered]))
    line = await wire.listen()
  })
  after(() => all.disposeAsync())

  const file = (changes: object = {}): Promise<void> =>
    writeFile(
      path,
      JSON.stringify({
        money: 'on',
        perCommand: '50.00',
        perDay: '60.00',
        grants: [first, second].map(({ id }) => ({
          peer: id,
          does: ['bonus', 'transfer', 'collect', 'handpay'],
          machines: ['plain', 'registered']
        })),
        machines: { registered: { asset: 4711, key: KEY } },
        ...changes
      }),
      { mode: 0o600 }
    )

  async function startAgent(settings: object = {}): Promise<Node> {
    const agent = await startHost({
      modules: [sas, devices],
      settings: { sas: { ...SETTINGS, machines: [line, `${line}#2`], moneyFile: path, ...settings } },
      folder,
      identity: agentId
    })
    for (const each of [first, second, stranger]) await each.connect(agent)
    await until(
      async () =>
        (await call<{ items: { isUp: boolean }[] }>(agent, 'machines')).items.filter(each => each.isUp)
          .length === 2,
      'both machines are up',
      LONG_MS
    )
    return agent
  }

  /** What may move money, as it went over the wire. */
  const orders = (): string[] =>
    wire.heard.filter(
      message => /^0.(8a|94)/.test(message) || (/^0.72/.test(message) && !/^0.7202ff00/.test(message))
    )

  async function ordered(
    agent: Node,
    machine: string,
    does: string,
    amount: string,
    by = first
  ): Promise<string> {
    return (await call<{ order: string }>(by, 'order', { agent: agent.id, machine, does, amount })).order
  }
  const pay = (order: string, by = second): Promise<Paid> => call(by, 'pay', { order })
  /** The same order with something else in it, under the old signature. */
  const changed = (text: string, changes: object): string => {
    const { order, signatures } = orderOf(text)!
    return textOfOrder({ order: { ...order, ...changes } as typeof order, signatures })
  }

  it('is nothing, whatever is missing', async () => {
    await file()
    await using agent = await startAgent()
    const refused = async (order: string, why: RegExp, by = second): Promise<void> => {
      const { is, why: said } = await pay(order, by)
      equal(is, 'refused', said)
      match(said!, why)
    }
    const bonus = (amount = '5.00'): Promise<string> => ordered(agent, 'plain', 'bonus', amount)

    // one signer: alone, twice, with a stranger, and under what somebody else has signed
    const order = await bonus()
    await rejects(pay(order, first), { name: 'PollRefusedError', message: /another node/ })
    await refused(order, /no grant/, stranger)
    await refused(changed(await bonus(), { amount: '50.00' }), /has 1/)
    await refused(changed(await bonus(), { machine: 'registered' }), /has 1/)
    await rejects(ordered(agent, 'plain', 'bonus', '5.00', stranger), /no grant/)
    // a nonce of nobody, and one of before
    const { signatures } = orderOf(await bonus())!
    await refused(
      textOfOrder({ order: { ...orderOf(order)!.order, nonce: 'f'.repeat(32) }, signatures }),
      /has 1/
    )
    // limits, and what is no whole number of credits
    await refused(await bonus('50.01'), /more than 50.00/)
    // the machine: none, another one, not the one of this asset and key
    await file({ machines: { registered: { asset: 4712, key: KEY } } })
    await refused(await ordered(agent, 'registered', 'transfer', '5.00'), /not registered/)
    await file({ machines: { registered: { asset: 4711, key: 'ff'.repeat(20) } } })
    await refused(await ordered(agent, 'registered', 'transfer', '5.00'), /not registered/)
    await file({ machines: {} })
    await refused(await ordered(agent, 'registered', 'transfer', '5.00'), /no asset number/)
    await file()
    await refused(await ordered(agent, 'plain', 'transfer', '5.00'), /no asset number/)
    await refused(await ordered(agent, 'plain', 'handpay', '5.00'), /has not said/)
    await file({ grants: [{ peer: first.id, does: ['bonus'], machines: ['plain'] }] })
    await refused(await bonus(), /no grant/)
    // the switch: off, open to others, gone
    await file()
    const good = await bonus()
    await file({ money: 'off' })
    await refused(good, /money is off/)
    await chmod(path, 0o644)
    await rejects(bonus(), /chmod 600/)
    await rm(path)
    await refused(good, /cannot be read/)
    // bytes by hand are no way around it
    await file()
    for (const poll of ['8a0000050000', '94', `7239${'00'.repeat(57)}`])
      await rejects(call(agent, 'send', { machine: line, poll }), { name: 'PollRefusedError' })

    // silent, and another one in its place
    wire.isMute = true
    await until(
      async () =>
        (await call<{ items: { isUp: boolean }[] }>(agent, 'machines')).items.every(each => !each.isUp),
      'they are missed',
      LONG_MS
    )
    await refused(await bonus(), /answers here/)
    const other = new Machine({ address: 1, serial: 'other' })
    wire.machines[0] = other
    wire.isMute = false
    await until(
      async () =>
        (await call<{ items: { serial?: string }[] }>(agent, 'machines')).items[0]!.serial === 'other',
      'the other one',
      LONG_MS
    )
    await refused(await bonus(), /answers here/)
    wire.machines[0] = plain
    // it says so only when it is asked, and it is asked before anything is paid
    await refused(await ordered(agent, 'other', 'bonus', '5.00'), /no grant/)

    deepEqual(orders(), [])
    deepEqual([plain.paid, registered.paid, other.paid], [[], [], []])
    deepEqual((await call<{ items: Item[] }>(agent, 'payments')).items, [])
  })

  it('goes out once, when all is right and written down', async () => {
    await file()
    await using agent = await startAgent()
    const sentBefore = orders().length
    let written: { ending: string | null } | undefined
    wire.onMessage = message => {
      if (!/^018a/.test(message)) return
      using db = new DatabaseSync(join(agent.folder, 'sas', 'sas.sqlite'), { readOnly: true })
      written = db.prepare('SELECT ending FROM payment').get() as never
    }
    const order = await ordered(agent, 'plain', 'bonus', '12.50')
    // what it says is seen before it is signed, and whose signature is right
    const read = (text: string) =>
      call<{ id: string; agent: string; signedBy: string[]; until: number }>(second, 'readOrder', {
        order: text
      })
    const { id: _, until: goodUntil, ...says } = await read(order)
    deepEqual(says, {
      agent: agent.id,
      machine: 'plain',
      does: 'bonus',
      amount: '12.50',
      signedBy: [first.id]
    })
    ok(goodUntil > Date.now())
    deepEqual((await read(changed(order, { amount: '1.00' }))).signedBy, [])
    await rejects(read('x'), { name: 'PollRefusedError' })
    const { id, ...paid } = await pay(order)
    wire.onMessage = undefined
    deepEqual(paid, { is: 'done' })
    // when the first byte came, it was on the disk, and its end was not
    deepEqual({ ...written }, { ending: null })
    deepEqual(plain.paid, [{ kind: 'bonus', cents: 1_250n }])
    // again it is the same outcome, and nothing goes out
    deepEqual(await pay(order), { id, is: 'done' })
    const again = orderOf(order)!
    equal((await pay(changed(order, { id: crypto.randomUUID() }))).is, 'refused')
    // a transfer, whose bytes are the order’s
    const transfer = await pay(await ordered(agent, 'registered', 'transfer', '30.00'))
    equal(transfer.is, 'done', transfer.why)
    deepEqual(registered.paid, [{ kind: 'transfer', cents: 3_000n }])
    equal(registered.meter(0x17), 3_500n)
    // what a day allows is used up by what was paid, whichever machine it was
    match((await pay(await ordered(agent, 'plain', 'bonus', '17.51'))).why!, /42.50 of 60.00/)
    const sent = orders().slice(sentBefore)
    deepEqual(
      sent.map(message => message.slice(0, 4)),
      ['018a', '0272']
    )
    equal(sent[0]!.slice(4, 14), '0000125000')
    // full, index, type; cashable and two others; flags, asset number, key, and an id of 20
    const expected = ['0272', '49', '000000', '0000003000', '00'.repeat(10), '00', '67120000', KEY, '14']
    equal(sent[1]!.slice(0, expected.join('').length), expected.join(''))

    const { items } = await call<{ items: Item[] }>(agent, 'payments')
    deepEqual(
      items.map(each => [each.amount, each.is, new Set(each.signers)]),
      [
        ['30.00', 'done', new Set([first.id, second.id])],
        ['12.50', 'done', new Set([first.id, second.id])]
      ]
    )
    const { items: entries } = await call<{ items: { kind: string; body: { id: string; is: string } }[] }>(
      agent,
      'events',
      { device: 'sas:plain', limit: 100 },
      'devices'
    )
    deepEqual(
      entries
        .filter(({ kind }) => kind === 'money')
        .map(({ body }) => [body.id, body.is])
        .sort(),
      [
        [id, 'done'],
        [id, 'tried']
      ]
    )
    ok(again.order.id === id)
    await rejects(call(agent, 'decide', { id, is: 'failed', why: 'test' }), /nobody has to decide/)
  })

  it('is asked for where the answer is lost, and settled after the next start', async () => {
    await file({ perDay: '1000.00' })
    const paidBefore = registered.paid.length
    const sentBefore = orders().length
    let id: string
    {
      await using agent = await startAgent()
      const order = await ordered(agent, 'registered', 'collect', '7.00')
      id = orderOf(order)!.order.id
      // it arrives, and then there is no line any more
      wire.onMessage = message => {
        if (/^0272/.test(message) && !/^027202ff00/.test(message)) wire.isDumb = true
      }
      void pay(order).catch(() => undefined)
      await until(() => wire.isDumb, 'it was sent', LONG_MS)
    }
    wire.onMessage = undefined
    wire.isDumb = false
    await using agent = await startAgent()
    await until(
      async () =>
        (await call<{ items: Item[] }>(agent, 'payments')).items.some(
          each => each.id === id && each.is === 'done'
        ),
      'it is settled',
      LONG_MS
    )
    equal(orders().length, sentBefore + 1)
    deepEqual(registered.paid.slice(paidBefore), [{ kind: 'transfer', cents: 700n }])
  })
})
