import { deepEqual, equal, match, rejects } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createIdentity } from '../../../bootstrap/index.ts'
import {
  COMMAND_DOMAIN,
  type Command,
  decodeCommand,
  encodeCommand,
  hashOfCommand
} from '../../../services/devices/commands/command.ts'
import { devices, OWNER, sas } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'
import { createForger } from './forger.ts'
import { Machine } from './machine.ts'
import { TcpWire } from './wire.ts'

const KEY = '00112233445566778899aabbccddeeff00112233'
const SETTINGS = { answerMs: 200, pollMs: 1, meterSeconds: 60 }
const LONG_MS = 60_000
const MINUTE_MS = 60_000

interface Outcome {
  id: string
  is: string
  why?: string
}
interface Item extends Outcome {
  amount: string
  signers: string[]
}
type Node = Awaited<ReturnType<typeof startHost>>

const call = <T>(node: Node, operation: string, input: object = {}, service = 'devices'): Promise<T> =>
  node.services.call(service, operation, input as never, { caller: OWNER }) as Promise<T>

describe('sas: money on the wire', function () {
  this.timeout(600_000)
  let folder: string
  let path: string
  let agentId: Awaited<ReturnType<typeof createIdentity>>
  /** owner of the fleet and first signer, the second one, one that signs what it likes, and one that nobody knows */
  let first: Node
  let second: Node
  let forger: Node
  let stranger: Node
  const [forging, strange] = [createForger(), createForger()]
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
    const firstId = await createIdentity()
    const settings = { devices: { fleetOwners: [firstId.peerId.toString()] } }
    first = all.use(await startHost({ modules: [devices], identity: firstId, settings }))
    second = all.use(await startHost({ modules: [devices], settings }))
    forger = all.use(await startHost({ modules: [forging.module] }))
    stranger = all.use(await startHost({ modules: [strange.module] }))
    await first.connect(second)
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
    await mkdir(join(folder, 'handlers'))
    const program = `export default machine => {
      machine.on(0x54, (_, wait) => machine.jackpot('10.00', { ...wait, rate: '2.55', second: '${second.id}' }))
    }`
    await writeFile(join(folder, 'handlers/jackpot.ts'), program, { mode: 0o600 })
  })
  after(() => all.disposeAsync())

  const file = (changes: object = {}): Promise<void> =>
    writeFile(
      path,
      JSON.stringify({
        money: 'on',
        perCommand: '50.00',
        perDay: '60.00',
        machines: { registered: { asset: 4711, key: KEY } },
        ...changes
      }),
      { mode: 0o600 }
    )
  const switchFile = (): string => join(folder, 'services/devices/risk-3')
  async function switchOn(lines = 'sas:* *\n'): Promise<void> {
    await mkdir(join(folder, 'services/devices'), { recursive: true })
    await writeFile(switchFile(), lines, { mode: 0o600 })
  }

  /** The document of the fleet, at everybody whom it is about. */
  async function grant(agent: Node, grants: object[]): Promise<void> {
    const { version } = await call<{ version: number }>(first, 'fleet')
    const wishes = { agents: [agent.id], settings: [], grants }
    await call(first, 'setFleet', { wishes, after: version })
    const { signed } = await call<{ signed: Record<'issuer' | 'bytes' | 'signature', never> }>(first, 'fleet')
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
    for (const node of [second, agent])
      await call(node, 'takeFleet', {
        signed: { ...signed, bytes: text(signed.bytes), signature: text(signed.signature) }
      })
  }
  const may = ({ id }: Node, more: object = {}): object => ({ peer: id, devices: 'sas:*', risk: 3, ...more })

  async function startAgent(): Promise<Node> {
    const agent = await startHost({
      modules: [sas, devices],
      settings: {
        sas: { ...SETTINGS, machines: [line, `${line}#2`], moneyFile: path, filesFolder: folder },
        devices: { fleetOwners: [first.id] }
      },
      folder,
      identity: agentId
    })
    for (const each of [first, second, forger, stranger]) await each.connect(agent)
    await areUp(agent)
    return agent
  }
  const machinesOf = async (agent: Node) =>
    (await call<{ items: { isUp: boolean; serial?: string }[] }>(agent, 'machines', {}, 'sas')).items
  const areUp = (agent: Node): Promise<void> =>
    until(
      async () => (await machinesOf(agent)).filter(({ isUp }) => isUp).length === 2,
      'both machines are up',
      LONG_MS
    )
  const paymentsOf = async (agent: Node): Promise<Item[]> =>
    (await call<{ items: Item[] }>(agent, 'payments', {}, 'sas')).items

  /** What may move money, as it went over the wire. */
  const orders = (): string[] =>
    wire.heard.filter(
      message => /^0.(8a|94)/.test(message) || (/^0.72/.test(message) && !/^0.7202ff00/.test(message))
    )

  const propose = (agent: Node, machine: string, does: string, amount: string): Promise<Outcome> =>
    call(first, 'command', {
      ...{ device: `sas:${machine}`, name: does, args: { amount }, minutes: 1 },
      agent: agent.id,
      second: second.id
    })
  /** The computer has stood still, and nothing was sent: it is ordered anew. */
  const isAway = ({ why = '' }: Pick<Outcome, 'why'>): boolean => /was not heard/.test(why)
  /** Both sign. */
  async function order(agent: Node, machine: string, does: string, amount: string): Promise<Outcome> {
    for (;;) {
      const { id, is } = await propose(agent, machine, does, amount)
      equal(is, 'proposed')
      const outcome = await call<Outcome>(second, 'approve', { id })
      if (!isAway(outcome)) return { ...outcome, id }
    }
  }
  const signature = (node: Node, bytes: Uint8Array) => ({
    signer: node.id,
    signature: node.sign(`artel/devices/${COMMAND_DOMAIN}`, bytes)
  })
  /** One that comes by no rule: of the forger, with whatever stands in it, and brought as often as one likes. */
  async function command(agent: Node, changes: Pick<Command, 'device' | 'name' | 'args'> & Partial<Command>) {
    const { device, name } = changes
    const { nonce } = await forging.ask(agent.id, 'nonce', { device, name })
    const whole: Command = {
      ...{ fleet: 'home', id: randomUUID(), issuer: forger.id, by: '', agent: agent.id },
      ...{ issued: Date.now(), expires: Date.now() + MINUTE_MS, nonce },
      ...changes
    }
    const bytes = encodeCommand(whole)
    return {
      id: whole.id,
      nonce: whole.nonce!,
      bytes,
      bring: (...signers: Node[]): Promise<Outcome> =>
        forging.ask(agent.id, 'perform', {
          bytes,
          signatures: signers.map(each => signature(each, bytes))
        }) as Promise<Outcome>
    }
  }
  const registeredAt = (name: string, amount: string) => ({
    device: 'sas:registered',
    name,
    args: { amount }
  })
  async function refused(outcome: Promise<Outcome>, why: RegExp, is = 'failed'): Promise<void> {
    const found = await outcome
    equal(found.is, is, found.why)
    match(found.why!, why)
  }

  it('is nothing, whatever is missing', async () => {
    await file()
    await using agent = await startAgent()
    const bonus = (amount = '5.00'): Promise<Outcome> => order(agent, 'plain', 'bonus', amount)

    // no document of the fleet; then nobody who may at both ends, no switch, and one that anybody can read
    await rejects(propose(agent, 'plain', 'bonus', '5.00'), { name: 'ForbiddenError' })
    await grant(agent, [may(first)])
    // who has none at all is no party to it, and gets no number
    await rejects(bonus(), { name: 'ForbiddenError' })
    await grant(agent, [may(first), may(second, { risk: 2 })])
    await refused(bonus(), /no grant/, 'refused')
    await grant(agent, [may(first), may(second, { devices: 'sas:registered' })])
    await refused(bonus(), /no grant/, 'refused')
    await grant(agent, [may(first), may(second, { until: Date.now() - 1 })])
    await refused(bonus(), /no grant/, 'refused')
    await grant(agent, [may(first), may(second, { commands: ['transfer'] })])
    await refused(bonus(), /no grant/, 'refused')
    await grant(agent, [may(first), may(second), may(forger)])
    await refused(bonus(), /switched on/, 'refused')
    await switchOn('sas:* transfer\n')
    await refused(bonus(), /switched on/, 'refused')
    await switchOn()
    await chmod(switchFile(), 0o644)
    await refused(bonus(), /switched on/, 'refused')
    await chmod(switchFile(), 0o600)

    // one signer: nobody else, itself, twice, with one that nobody knows, and under what somebody else has signed
    const base = { device: 'sas:plain', name: 'bonus', args: { amount: '5.00' } }
    for (const more of [{}, { second: first.id }])
      await rejects(call(first, 'command', { ...base, minutes: 1, agent: agent.id, ...more }), {
        name: 'ConflictError'
      })
    const made = (changes: Partial<Command> = {}) => command(agent, { ...base, ...changes })
    const stranged = new RegExp(`${stranger.id} has no grant`)
    const changed = await made()
    const large = encodeCommand({ ...decodeCommand(changed.bytes), args: { amount: '50.00' } })
    await refused((await made()).bring(forger), /two signers/, 'refused')
    await refused((await made()).bring(forger, forger), /not signed/, 'refused')
    await refused((await made()).bring(forger, stranger), stranged, 'refused')
    await refused((await made()).bring(second, forger), /not signed/, 'refused')
    await refused(
      forging.ask(agent.id, 'perform', {
        bytes: large,
        signatures: [forger, second].map(each => signature(each, changed.bytes))
      }) as Promise<Outcome>,
      /not signed/,
      'refused'
    )
    await refused(
      (await made({ nonce: crypto.getRandomValues(new Uint8Array(16)) })).bring(forger, second),
      /nonce/,
      'expired'
    )
    await refused((await made({ agent: first.id })).bring(forger, second), /for the node/, 'refused')
    await refused((await made({ fleet: 'another' })).bring(forger, second), /for the fleet/, 'refused')
    await rejects(strange.ask(agent.id, 'nonce', { device: base.device, name: base.name }), {
      name: 'ForbiddenError'
    })

    // limits, and what is no amount
    await refused(bonus('50.01'), /more than 50.00/)
    await refused(bonus('0'), /amount above 0/, 'refused')
    await refused(bonus('1.005'), /amount above 0/, 'refused')
    // the machine: not the one of this asset and key, none that is registered, and no handpay waits there
    const transfer = (machine = 'registered') => order(agent, machine, 'transfer', '5.00')
    await file({ machines: { registered: { asset: 4712, key: KEY } } })
    await refused(transfer(), /not registered/)
    await file({ machines: { registered: { asset: 4711, key: 'ff'.repeat(20) } } })
    await refused(transfer(), /not registered/)
    await file({ machines: {} })
    await refused(transfer(), /no asset number/)
    await file()
    await refused(transfer('plain'), /no asset number/)
    await refused(order(agent, 'plain', 'handpay', '5.00'), /has not said/)
    // the file of its owner: off, open to others, gone
    await file({ money: 'off' })
    await refused(bonus(), /money is off/)
    await file()
    await chmod(path, 0o644)
    await refused(bonus(), /chmod 600/)
    await rm(path)
    await refused(bonus(), /cannot be read/)
    // bytes by hand are no way around it
    await file()
    for (const poll of ['8a0000050000', '94', `7239${'00'.repeat(57)}`])
      await rejects(call(agent, 'send', { machine: line, poll }, 'sas'), { name: 'PollRefusedError' })

    // silent, and another one in its place
    const { id } = await propose(agent, 'plain', 'bonus', '5.00')
    wire.isMute = true
    await until(async () => (await machinesOf(agent)).every(({ isUp }) => !isUp), 'they are missed', LONG_MS)
    await rejects(call(second, 'approve', { id }), { name: 'UnknownDeviceError' })
    const other = new Machine({ address: 1, serial: 'other' })
    wire.machines[0] = other
    wire.isMute = false
    await until(async () => (await machinesOf(agent))[0]!.serial === 'other', 'the other one', LONG_MS)
    await rejects(call(second, 'approve', { id }), { name: 'UnknownDeviceError' })
    wire.machines[0] = plain

    deepEqual(orders(), [])
    deepEqual([plain.paid, registered.paid, other.paid], [[], [], []])
    deepEqual(await paymentsOf(agent), [])
  })

  it('goes out once, when all is right and written down', async () => {
    await file()
    await using agent = await startAgent()
    await switchOn()
    await grant(agent, [may(first), may(second), may(forger)])
    const sentBefore = orders().length
    let written: { ending: string | null } | undefined
    wire.onMessage = message => {
      if (!/^018a/.test(message)) return
      using db = new DatabaseSync(join(agent.folder, 'sas', 'sas.sqlite'), { readOnly: true })
      written = db.prepare('SELECT ending FROM payment').get() as never
    }
    let proposed: Outcome
    let paid: Outcome
    do {
      proposed = await propose(agent, 'plain', 'bonus', '12.50')
      // what it says is seen before it is signed
      const { items: waiting } = await call<{ items: Record<string, unknown>[] }>(second, 'proposals')
      const { expires, ...says } = waiting.find(({ id }) => id === proposed.id)!
      deepEqual(says, {
        ...{ id: proposed.id, isOwn: false, peer: first.id, by: 'owner', agent: agent.id },
        ...{ device: 'sas:plain', name: 'bonus', args: { amount: '12.50' } }
      })
      paid = await call<Outcome>(second, 'approve', { id: proposed.id })
    } while (isAway(paid))
    equal(paid.is, 'done', paid.why)
    wire.onMessage = undefined
    // when the first byte came, it was on the disk, and its end was not
    deepEqual({ ...written }, { ending: null })
    deepEqual(plain.paid, [{ kind: 'bonus', cents: 1_250n }])
    await rejects(call(second, 'approve', { id: proposed.id }), { name: 'UnknownCommandError' })
    // a transfer, whose bytes are the command’s; brought again, it has the same outcome
    let transfer: Awaited<ReturnType<typeof command>>
    do transfer = await command(agent, registeredAt('transfer', '30.00'))
    while (isAway(await transfer.bring(forger, second)))
    equal((await transfer.bring(forger, second)).is, 'done')
    deepEqual(registered.paid, [{ kind: 'transfer', cents: 3_000n }])
    equal(registered.meter(0x17), 3_500n)
    // its number was used, whatever it is put into
    const { nonce } = transfer
    const again = await command(agent, { ...registeredAt('transfer', '1.00'), nonce })
    await refused(again.bring(forger, second), /nonce/, 'expired')
    // what a day allows is used up by what was paid, whichever machine it was
    await refused(order(agent, 'plain', 'bonus', '17.51'), /42.50 of 60.00/)
    const sent = orders().slice(sentBefore)
    deepEqual(
      sent.map(message => message.slice(0, 4)),
      ['018a', '0272']
    )
    equal(sent[0]!.slice(4, 14), '0000125000')
    // full, index, type; cashable and two others; flags, asset number, key, and an id of 20
    const expected = ['0272', '49', '000000', '0000003000', '00'.repeat(10), '00', '67120000', KEY, '14']
    const name = Buffer.from(hashOfCommand(transfer.bytes).slice(0, 20)).toString('hex')
    equal(sent[1]!.slice(0, expected.join('').length + name.length), expected.join('') + name)

    deepEqual(
      (await paymentsOf(agent)).map(each => [each.amount, each.is, new Set(each.signers)]),
      [
        ['30.00', 'done', new Set([forger.id, second.id])],
        ['12.50', 'done', new Set([first.id, second.id])]
      ]
    )
    const { items: entries } = await call<{ items: { kind: string; body: { id: string; is: string } }[] }>(
      agent,
      'events',
      { device: 'sas:plain', limit: 1000 }
    )
    const said = (kind: string): string[] =>
      entries
        .filter(each => each.kind === kind && each.body.id === proposed.id)
        .map(({ body }) => body.is)
        .sort()
    deepEqual(said('money'), ['done', 'tried'])
    deepEqual(said('fleet-command'), ['done', 'received', 'started'])
    await rejects(
      call(agent, 'decide', { id: proposed.id, is: 'failed', why: 'test' }, 'sas'),
      /nobody has to decide/
    )
  })

  it('is asked for where the answer is lost, and settled after the next start', async () => {
    await file({ perDay: '1000.00' })
    await switchOn()
    const paidBefore = registered.paid.length
    const sentBefore = orders().length
    let collect: Awaited<ReturnType<typeof command>> | undefined
    {
      await using agent = await startAgent()
      await grant(agent, [may(first), may(second), may(forger)])
      let isSent = false
      // it arrives, and then there is no line any more
      wire.onMessage = message => {
        if (!/^0272/.test(message) || /^027202ff00/.test(message)) return
        wire.isDumb = true
        isSent = true
      }
      const bringing = (async () => {
        while (!isSent) {
          collect = await command(agent, registeredAt('collect', '7.00'))
          await collect.bring(forger, second).catch(() => undefined)
        }
      })()
      await Promise.race([bringing, until(() => isSent, 'it was sent', LONG_MS)])
    }
    wire.onMessage = undefined
    wire.isDumb = false
    await using agent = await startAgent()
    // who asks again hears how it ended
    equal((await collect!.bring(forger, second)).is, 'done')
    equal((await paymentsOf(agent)).find(({ id }) => id === collect!.id)?.is, 'done')
    equal(orders().length, sentBefore + 1)
    deepEqual(registered.paid.slice(paidBefore), [{ kind: 'transfer', cents: 700n }])

    // a program here is no way around it: it proposes as anybody does, with a grant, and another node signs
    const told = (): string => agent.services.health().find(({ service }) => service === 'sas')?.reason ?? ''
    plain.raise(0x54)
    await until(() => /handlers\/jackpot.ts/.test(told()), 'it may not', LONG_MS)
    await grant(agent, [may(agent), may(first), may(second)])
    plain.raise(0x54)
    const proposals = async () =>
      (
        await call<{ items: { id: string; peer: string; by: string; args: object }[] }>(second, 'proposals')
      ).items.filter(({ peer }) => peer === agent.id)
    await until(async () => (await proposals()).length > 0, 'it is proposed', LONG_MS)
    const { id, args } = (await proposals())[0]!
    deepEqual(args, { amount: '3.92' })
    equal(orders().length, sentBefore + 1)
    equal((await call<Outcome>(second, 'approve', { id })).is, 'done')
    deepEqual(plain.paid.at(-1), { kind: 'bonus', cents: 392n })
    equal(orders().length, sentBefore + 2)
    await until(() => !/handlers/.test(told()), 'it works again', LONG_MS)
  })
})
