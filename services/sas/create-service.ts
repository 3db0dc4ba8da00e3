import { Counter } from 'prom-client'
import type { HostOf, ServiceOf } from '../host/index.ts'
import type { declaration } from './declaration.ts'
import { UnknownMachineError } from './errors.ts'
import { pollOf } from './frames.ts'
import { placeOf } from './line/name.ts'
import { openTransport } from './line/transport.ts'
import { createLists } from './lists/create-lists.ts'
import { importRows } from './lists/import-rows.ts'
import { machineOf } from './lists/settings.ts'
import { createMachine, type Machine } from './machine/machine.ts'
import { runLine } from './machine/run-line.ts'
import { MIGRATIONS } from './migrations.ts'
import { textOf } from './money/amount.ts'
import { LOOK_MS, moneyCommands } from './money/commands.ts'
import { readMoneyFile } from './money/file.ts'
import { createJournal } from './money/journal.ts'
import { createPayments } from './money/pay.ts'
import { createPrograms } from './programs/run-programs.ts'
import { VIEWS } from './views.ts'

type Declared = typeof declaration

/** most of a machine that falls silent in the middle of one */
const LOOK_LIMIT_MS = 10_000
/** between two looks at the files of polls */
const FILES_MS = 1_000
/** between two looks whether rows of before are to be taken over */
const IMPORT_MS = 60_000

/** The service `sas`: one loop for each line. */
export async function createService(host: HostOf<Declared>): Promise<ServiceOf<Declared>> {
  const { signal, now, config } = host
  const folder = config.filesFolder ?? host.folder
  const machines: Machine[] = []
  const given = config.machines.length > 0 ? undefined : await machineOf(folder)
  const baudRate = given?.baudRate ?? config.baudRate
  const places = (given == null ? config.machines : [given.place]).flatMap(text => placeOf(text) ?? [])
  for (const view of VIEWS) host.use.devices.show(view)
  const lines = Map.groupBy(places, ({ line }) => line)
  let running: Promise<void>[] = []
  const db = host.database(MIGRATIONS)
  const journal = createJournal(db, now)
  const uptime = (): number => performance.now()
  const payments = createPayments({
    file: () => readMoneyFile(config.moneyFile),
    journal,
    machines: () => machines,
    now,
    uptime
  })
  const lists = createLists({
    folder,
    db,
    mayControl: () => host.config.control,
    now,
    uptime,
    onState: host.degraded
  })
  const programs = createPrograms({
    folder,
    devices: host.use.devices,
    run: async (machine, set, until) => (await lists.run(set, [machine], until))[0]!.items,
    onState: host.degraded,
    now,
    signal
  })

  const late = new Counter({
    name: 'late_messages_total',
    help: 'messages by parity that had a pause in them, which machines forget',
    registers: [host.metrics]
  })
  /** undefined: what stands behind the line sets the wake-up bit */
  function parityOf(line: string): Parameters<typeof openTransport>[3] {
    if (config.wakeUp === 'inBand') return undefined
    return {
      by: config.wakeUp,
      onLate: () => late.inc(),
      onSlow: () =>
        host.log('%s: its thread may not go before others; allow it by LimitRTPRIO=10 in the unit', line)
    }
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
        const answer = await machine.send(
          pollOf(machine.state.address, Buffer.from(poll, 'hex')),
          call.signal
        )
        return answer.is === 'answered'
          ? { is: answer.is, frame: Buffer.from(answer.frame).toString('hex') }
          : answer
      },

      listeners: () => ({ items: lists.heard() }),

      sets: async () => ({ items: await lists.sets() }),

      async run({ set, machine }, call) {
        const at = machine == null ? machines.filter(({ state }) => state.isUp) : [machineAt(machine)]
        if (at.length === 0) throw new UnknownMachineError('no machine answers here; see sas machines')
        return { items: await lists.run(set, at, call.signal, call.send) }
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

    start() {
      host.repeat('files of polls', FILES_MS, lists.look)
      host.repeat('rows of before', IMPORT_MS, () =>
        importRows({ folder, db, devices: host.use.devices, now })
      )
      host.repeat('payments without an end', LOOK_MS, until =>
        payments.look(AbortSignal.any([until, AbortSignal.timeout(LOOK_LIMIT_MS)]))
      )
      running = [...lines].map(([name, onLine]) =>
        runLine({
          name,
          open: until => openTransport(name, baudRate, until, parityOf(name)),
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
                  commands: (serial, last, send) => ({
                    ...moneyCommands(serial, payments, last),
                    ...lists.commands(address, send)
                  }),
                  due: lists.due,
                  onException(code) {
                    journal.heard(`${name}#${address}`, code)
                    programs.tell(name, address, code)
                  },
                  meterSeconds: () => host.config.meterSeconds,
                  now
                })
              )
            )
            machines.push(...made)
            await Promise.all(made.map(programs.begin))
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
