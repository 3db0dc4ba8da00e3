import { randomUUID } from 'node:crypto'
import { freemem } from 'node:os'
import { admits, type HostOf, type Output, type ServiceOf } from '../host/index.ts'
import { listingOf, runLine } from './commands/run-line.ts'
import type { Command } from './core/command.ts'
import { parseId } from './core/grammar.ts'
import { place } from './core/place.ts'
import { costOf, HOUR_MS } from './core/rent.ts'
import type { Action } from './core/roles.ts'
import type { declaration } from './declaration.ts'
import { ForbiddenError, HostUnfitError } from './errors.ts'
import { createConsoles } from './machines/consoles.ts'
import { createMachines } from './machines/create-machines.ts'
import { recover } from './machines/recover.ts'
import { createRent, MEMO } from './machines/rent.ts'
import { usageOf } from './machines/usage.ts'
import { createCommands, type Here } from './peers/commands.ts'
import { createForwards } from './peers/forwards.ts'
import { createLists } from './peers/lists.ts'
import { createMovesIn } from './peers/move-in.ts'
import { createMovesOut } from './peers/move-out.ts'
import { moveWire } from './peers/move-wire.ts'
import { findPrograms } from './qemu/walls.ts'
import { openPostgres } from './store/postgres.ts'
import { MIGRATIONS } from './store/schema.ts'
import { postgresSettings } from './store/settings.ts'
import { overSqlite } from './store/sqlite.ts'

type Declared = typeof declaration
const MB = 2 ** 20
const OFFER_MS = 2_000
const MOVES_EVERY_MS = 10_000
const SCHEDULES_EVERY_MS = 15_000
const RENT_EVERY_MS = 60_000
const TRASH_EVERY_MS = 3_600_000

/** Machines over what the host gives. */
export async function createService(host: HostOf<Declared>): Promise<ServiceOf<Declared>> {
  const settings = postgresSettings()
  const onFault = (error: Error) => host.log.error('database: %e', error)
  const database =
    settings === undefined
      ? overSqlite(host.database(MIGRATIONS), onFault)
      : await openPostgres(settings, onFault)
  const programs = await findPrograms()
  const { self } = host.peers
  const { machines: most, ramMb, cpu, diskGb } = host.config

  function needFit(owner: string) {
    if (owner !== self && programs.accelerator !== 'kvm' && !host.config.allowTcg)
      throw new HostUnfitError('this host has no KVM, and runs machines of others only behind it')
  }

  const quotas = { machines: most, ramMb, cpu, diskGb }
  const init = { folder: host.folder, quotas, needFit, now: host.now }
  const machines = await createMachines(init, { database, programs, log: host.log })
  const { registry, power, snapshots, media, context } = machines
  const consoles = createConsoles(context, power, host.signal)
  context.onEvent.add(({ machine, kind }) => host.tell('changed', { machine, kind }))

  async function admit({ caller }: Command) {
    if (caller !== self && !admits('allowed', caller, host.config))
      throw new ForbiddenError('this host takes no machines of yours')
    needFit(caller)
    await rent.needPaid(caller)
  }

  /** Its owner pays for it and is to be trusted, whoever starts it. */
  async function needMayRun(caller: string, id: string, action: Action) {
    const { owner } = await context.find(caller, id, action)
    needFit(owner)
    await rent.needPaid(owner)
  }

  async function act(caller: string, vm: string, action: string, force: boolean) {
    const id = parseId(vm)
    if (['start', 'reboot', 'resume'].includes(action)) await needMayRun(caller, id, 'power')
    if (action === 'stop') await power.stop(caller, id, { force })
    if (action === 'start') await power.start(caller, id)
    if (action === 'reboot') await power.reboot(caller, id)
    if (action === 'pause') await power.pause(caller, id)
    if (action === 'resume') await power.resume(caller, id)
    return registry.show(caller, id)
  }

  async function rollback(caller: string, vm: string, name: string) {
    // what runs is started again by it, and what stands still may be
    await needMayRun(caller, parseId(vm), 'snapshot')
    await snapshots.restore(caller, vm, name)
    return {}
  }

  const offer = (): Output<Declared['operations']['offer']> => ({
    freeMb: Math.floor(freemem() / MB),
    accelerator: programs.accelerator,
    ramGbHour: host.config.ramGbHour,
    diskGbHour: host.config.diskGbHour
  })
  const { ledger } = host.use
  const rent = createRent(context, machines, { ledger, self, prices: () => host.config })
  const done = async (work: Promise<void>) => {
    await work
    return {}
  }

  const wire = moveWire(host)
  const movesIn = createMovesIn(machines, wire, admit)
  const movesOut = createMovesOut(machines, wire)
  const forwards = createForwards(host, machines)

  const here: Here = {
    exec: (owner, { line, language }) =>
      runLine(registry, owner, line, {
        language,
        onFault: error => host.log.error('%s: %e', line.slice(0, 40), error)
      }),
    account: owner => rent.statement(owner),
    list: async owner => ({ machines: await registry.list(owner) }),
    show: async (owner, { vm }) => {
      const shown = await registry.show(owner, vm)
      return { ...shown, ...(shown.pid === undefined ? {} : usageOf(shown.pid)) }
    },
    power: (owner, { vm, action, force }) => act(owner, vm, action, force),
    console: consoles.use,
    snapshots: async (owner, { vm }) => ({ snapshots: await snapshots.list(owner, vm) }),
    snapshot: (owner, { vm, name, memory }) => snapshots.take(owner, vm, name, { hasMemory: memory }),
    schedule: async (owner, { vm, pattern, keep }) => ({
      schedule: await machines.schedules.set(owner, vm, pattern, keep)
    }),
    grow: (owner, { disk, sizeGb }) => registry.grow(owner, disk, sizeGb),
    rollback: (caller, { vm, name }) => rollback(caller, vm, name),
    forget: (owner, { vm, name }) => done(snapshots.remove(owner, vm, name)),
    clone: (owner, { vm, newVm, snapshot }) => done(snapshots.clone(owner, vm, newVm, snapshot)),
    move: async (owner, { vm, to }, signed) => ({ state: await movesOut.move(owner, vm, to, signed()) }),
    network: (owner, { vm, state }) => done(media.network(owner, vm, state === 'on')),
    restore: (owner, { vm }) => done(registry.restore(owner, vm)),
    grants: async (owner, { vm }) => ({ grants: await registry.grants(owner, vm) }),
    grant: (owner, { vm, peer, role }) => done(registry.grant(owner, vm, peer, role)),
    events: async (owner, { vm, after }) => ({ events: await registry.events(owner, vm, after) })
  }
  const commands = createCommands(host, database, here)
  const lists = createLists(self, { database, log: host.log }, commands.operations.list)

  return {
    operations: {
      ...commands.operations,
      async exec(input, call) {
        const { host: to = self, line } = input
        const listing = to === self ? undefined : listingOf(line)
        if (listing === undefined) return commands.operations.exec(input, call)
        return listing.answer(await lists.at(to, call))
      },
      list: async ({ host, everywhere }, call) => ({
        machines: await (everywhere ? lists.everywhere(call) : lists.at(host ?? self, call))
      }),
      async hosts(wanted, { signal }) {
        const found: ({ peer: string; isHere?: boolean } & Partial<ReturnType<typeof offer>>)[] = [
          { peer: self, isHere: true, ...offer() }
        ]
        const asked: Promise<void>[] = []
        for await (const peer of host.peers.find({ signal }))
          asked.push(
            host.peers.ask(peer, 'offer', {}, { deadlineMs: OFFER_MS, signal }).then(
              answer => void found.push({ peer, ...answer }),
              // one that says nothing is shown as that
              () => void found.push({ peer })
            )
          )
        await Promise.all(asked)
        const candidates = found
          .filter((host): host is Required<typeof host> => host.freeMb !== undefined)
          .map(host => ({ ...host, reputation: ledger.reputation(host.peer).score }))
        const best = place(candidates, wanted).map(({ peer }) => peer)
        const fits = found
          .filter(({ peer }) => best.includes(peer))
          .sort((a, b) => best.indexOf(a.peer) - best.indexOf(b.peer))
        const others = found.filter(({ peer }) => !best.includes(peer))
        const priced = (fits: boolean) => (host: (typeof found)[number]) => {
          const { ramGbHour, diskGbHour, isHere } = host
          if (ramGbHour === undefined || diskGbHour === undefined) return { ...host, fits }
          // the own people pay nothing
          const anHour = isHere === true ? 0 : costOf(wanted, { ramGbHour, diskGbHour }, HOUR_MS)
          return { ...host, anHour, fits }
        }
        return { hosts: [...fits.map(priced(true)), ...others.map(priced(false))] }
      },
      offer,
      boot: ({ vm, ...files }) => done(media.boot(self, vm, files)),
      importDisk: ({ vm, disk, file, userData, metaData }) =>
        media.importDisk(self, vm, disk, file, userData === undefined ? undefined : { userData, metaData }),
      async pay({ to, credits }, { signal }) {
        // the word makes it rent, the rest makes it this payment and no other
        const memo = `${MEMO} ${randomUUID()}`
        await ledger.transfer(to, BigInt(Math.round(credits * 1e6)), { memo, signal })
        return {}
      },
      forward: input => forwards.open(input),
      forwards: () => ({ forwards: forwards.list() }),
      async unforward({ local }) {
        forwards.close(local)
        return {}
      },
      recover: () => recover(context, power),
      rebuild: ({ disk, file }) => media.rebuild(self, disk, file),
      exportDisk: ({ disk, file }) => done(media.exportDisk(self, disk, file))
    },
    messages: { command: commands.answer, tunnel: forwards.tunnel, ...movesIn.handlers },
    async start() {
      await power.begin(host.signal)
      commands.start()
      host.repeat('moves', MOVES_EVERY_MS, async () => {
        await movesOut.settle()
        await movesIn.settle()
      })
      host.repeat('schedules', SCHEDULES_EVERY_MS, () => machines.schedules.tick())
      host.repeat('rent', RENT_EVERY_MS, () => rent.tick())
      host.repeat('trash', TRASH_EVERY_MS, () => machines.trash.empty())
      host.announce(true)
    },
    endMs: () => power.endMs(),
    end: () => power.end(),
    /** The guests run on and are adopted at the next start. */
    async stop() {
      for (const { local } of forwards.list()) forwards.close(local)
      power.detach()
      await context.describe.close()
      await database.close()
    }
  }
}
