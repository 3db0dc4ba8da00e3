import { setTimeout as delay } from 'node:timers/promises'
import { createNonces, type HostOf, type ServiceOf } from '../host/index.ts'
import type { declaration } from './declaration.ts'
import { PollRefusedError, UnknownMachineError } from './errors.ts'
import { longPoll, readPoll } from './frames.ts'
import { placeOf } from './line/name.ts'
import { openTransport } from './line/transport.ts'
import { createMachine, type Machine } from './machine/machine.ts'
import { runLine } from './machine/run-line.ts'
import { textOf } from './money/amount.ts'
import { readMoneyFile } from './money/file.ts'
import { createJournal, MIGRATIONS } from './money/journal.ts'
import {
  bytesOf,
  givenOrder,
  idAt,
  ORDER,
  type Order,
  readingOf,
  type SignedOrder,
  signersOf,
  textOfOrder
} from './money/order.ts'
import { createPayments, type PayAnswer } from './money/pay.ts'
import { READS } from './tables/polls.ts'

type Declared = typeof declaration

/** between two looks at what has no end yet */
const LOOK_MS = 500
/** most of a machine that falls silent in the middle of one */
const LOOK_LIMIT_MS = 10_000
/** a transfer is waited for so long; it goes on then all the same */
const WAIT_MS = 20_000

/** The service `sas`: one loop for each line. */
export function createService(host: HostOf<Declared>): ServiceOf<Declared> {
  const { signal, now, config, peers } = host
  const machines: Machine[] = []
  const places = config.machines.flatMap(text => placeOf(text) ?? [])
  const lines = Map.groupBy(places, ({ line }) => line)
  let running: Promise<void>[] = []
  const journal = createJournal(host.database(MIGRATIONS), now)
  const payments = createPayments({
    self: peers.self,
    file: () => readMoneyFile(config.moneyFile),
    journal,
    nonces: createNonces(),
    machines: () => machines,
    isSigned: host.isSigned,
    now,
    uptime: () => performance.now()
  })

  const signed = (order: Order, before: SignedOrder['signatures'] = []): SignedOrder => {
    const signature = Buffer.from(host.sign(ORDER, bytesOf(order))).toString('base64')
    return { order, signatures: [...before, { peer: peers.self, signature }] }
  }

  /** Its end, where it comes soon. */
  async function pay(order: SignedOrder, until: AbortSignal): Promise<PayAnswer> {
    const answer = await payments.pay(order, until)
    const end = performance.now() + WAIT_MS
    while (answer.is === 'open' && performance.now() < end) {
      await delay(LOOK_MS, undefined, { signal: until })
      const { ending } = journal.find(order.order.id) ?? {}
      if (ending != null) return ending
    }
    return answer
  }

  function machineAt(text: string): Machine {
    const place = placeOf(text)
    const found = machines.find(({ state }) => state.line === place?.line && state.address === place.address)
    if (found == null) throw new UnknownMachineError(`${text} is not polled here; see sas machines`)
    return found
  }

  return {
    operations: {
      machines: () => ({ items: machines.map(({ state }) => ({ ...state })) }),

      async send({ machine: text, poll }, call) {
        const machine = machineAt(text)
        const { address } = machine.state
        const [command, ...data] = Buffer.from(poll, 'hex')
        const isRead = data.length === 0 && READS[command!] != null
        const answer = await machine.send(
          isRead ? readPoll(address, command!) : longPoll(address, command!, Uint8Array.from(data)),
          call.signal
        )
        return answer.is === 'answered'
          ? { is: answer.is, frame: Buffer.from(answer.frame).toString('hex') }
          : answer
      },

      async order({ agent, machine, does, amount }, call) {
        const { nonce } =
          agent === peers.self
            ? { nonce: await payments.nonce(peers.self) }
            : await peers.ask(agent, 'nonce', {}, { signal: call.signal })
        const id = idAt(now())
        return { id, order: textOfOrder(signed({ version: 1, agent, id, machine, does, amount, nonce })) }
      },

      readOrder({ order: text }) {
        const given = givenOrder(text)
        return { ...readingOf(given), signedBy: signersOf(given, host.isSigned) }
      },

      async pay({ order: text }, call) {
        const { order, signatures } = givenOrder(text)
        if (signatures.length !== 1 || signatures[0]!.peer === peers.self)
          throw new PollRefusedError('who has signed an order cannot sign it again; another node has to')
        const whole = signed(order, signatures)
        const answer =
          order.agent === peers.self
            ? await pay(whole, call.signal)
            : await peers.ask(order.agent, 'carryOut', whole, { signal: call.signal })
        return { id: order.id, ...answer }
      },

      payments: () => ({
        items: payments.list().map(({ id, machine, does, cents, at, signers, ending }) => ({
          id,
          machine,
          does,
          amount: textOf(BigInt(cents)),
          at,
          signers,
          ...(ending ?? { is: 'open' as const })
        }))
      }),

      async decide({ id, is, why }) {
        await payments.decide(id, { is, why })
        return {}
      }
    },

    messages: {
      nonce: async (_, { peer }) => ({ nonce: await payments.nonce(peer) }),
      // what is begun goes on also where the asker goes away
      carryOut: order => pay(order, signal)
    },

    start() {
      host.repeat('payments without an end', LOOK_MS, until =>
        payments.look(AbortSignal.any([until, AbortSignal.timeout(LOOK_LIMIT_MS)]))
      )
      running = [...lines].map(([name, onLine]) =>
        runLine({
          name,
          open: until => openTransport(name, config.baudRate, until),
          answerMs: config.answerMs,
          pollMs: () => host.config.pollMs,
          mayControl: () => host.config.control,
          async machines(line) {
            const made = await Promise.all(
              onLine.map(({ address }) =>
                createMachine({
                  lineName: name,
                  address,
                  line,
                  devices: host.use.devices,
                  onException: code => journal.heard(`${name}#${address}`, code),
                  meterSeconds: () => host.config.meterSeconds,
                  now
                })
              )
            )
            machines.push(...made)
            return made
          },
          onState: host.degraded,
          signal
        }).catch((error: Error) => host.fail(error))
      )
    },

    async stop() {
      await Promise.all(running)
    }
  }
}
