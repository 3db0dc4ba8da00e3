import { z } from 'zod'
import { type Caller, ForbiddenError, type HostOf, isIn, type ServiceOf } from '../host/index.ts'
import { loadKey } from './adb/key.ts'
import { pairByCode } from './adb/pair-by-code.ts'
import { createBookings } from './bookings.ts'
import { createBring } from './campaigns/bring.ts'
import { createShow } from './campaigns/show.ts'
import type { Trigger } from './cards/card.ts'
import { createEngine } from './cards/engine.ts'
import { replay } from './cards/trigger.ts'
import { type Asker, type CommandAnswer, commandOf, createCommands, nameOf } from './commands.ts'
import type { declaration } from './declaration.ts'
import { createDocuments } from './documents/documents.ts'
import { createDocumentOperations } from './documents/operations.ts'
import { TvFailedError, TvRequestError } from './errors.ts'
import { deviceOf, type May } from './grants.ts'
import { framed } from './live/framed.ts'
import type { Unit } from './live/split.ts'
import { OPERATIONS } from './operations/table.ts'
import { createOperator, type TvState } from './operators.ts'
import { placeOf, relayOf } from './place.ts'
import { loadProfiles } from './profiles/load.ts'
import { openRelay } from './relay.ts'
import { createRepair } from './repair/repair.ts'
import { rollOut } from './rollout.ts'
import { MIGRATIONS } from './schema.ts'
import { openTv, type Tv } from './tv.ts'

type Declared = typeof declaration

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** between two showings */
const SHOW_MS = 200
const REPAIR_MS = 10_000
const MAX_TIMES = 1000

/** The service `tv`: the TVs beside this node, and the operator of those of others. */
export async function createService(host: HostOf<Declared>): Promise<ServiceOf<Declared>> {
  const { config, peers, now, signal } = host
  const db = host.database(MIGRATIONS)
  const key = await loadKey(host.folder, `artel ${peers.self.slice(-8)}`)
  const profiles = await loadProfiles(host.folder)
  const tvs = new Map<string, Tv>()
  const may: May = (peer, tv, name, risk) => host.use.devices.may(peer, { device: deviceOf(tv), name, risk })
  const bookings = createBookings(db, now)
  const commands = createCommands({ tvs, bookings, may })
  const relays = config.relays.flatMap(text => relayOf(text) ?? [])
  for (const place of config.tvs.flatMap(text => placeOf(text) ?? [])) {
    const before = relays.find(({ tv }) => tv === place.name)
    tvs.set(
      place.name,
      await openTv({
        place,
        key,
        profiles,
        devices: host.use.devices,
        commands: commands.commandsOf(place.name),
        files: host.use.files,
        relay: before && (await openRelay({ place: before, db, now })),
        deadlineMs: config.answerMs,
        now,
        signal
      })
    )
  }
  const documents = createDocuments({
    db,
    self: peers.self,
    sign: host.sign,
    isSigned: host.isSigned,
    may: (issuer, kind, tv) => tvs.has(tv) && may(issuer, tv, kind, 1),
    give: (agent, document, until) => peers.ask(agent, 'document', document, { signal: until }),
    async onTaken(kind, { issuer, name, version, targets, by }, before) {
      const isOwn = ({ agent }: { agent: string }): boolean => agent === peers.self
      const now = new Set(targets.filter(isOwn).map(({ tv }) => tv))
      for (const tv of new Set([...now, ...before.filter(isOwn).map(each => each.tv)]))
        await tvs
          .get(tv)
          ?.note('assigned', { kind, name, version, issuer, by, is: now.has(tv) ? 'on' : 'off' })
    },
    trouble: host.degraded
  })
  const campaignsOf = (tv: string) => documents.live('campaign', tv)
  const bring = createBring({
    db,
    self: peers.self,
    files: host.use.files,
    tvs,
    campaigns: campaignsOf,
    last: tv => show.last(tv),
    mayFetch: () => isIn(host.config.fetchHours, now()),
    now,
    trouble: host.degraded
  })
  const show = createShow({
    db,
    bring,
    tvs,
    campaigns: campaignsOf,
    find: (issuer, name) => documents.find('campaign', issuer, name),
    isHeld(tv, by) {
      const holder = bookings.holder(tv)
      return holder != null && holder.who !== by
    },
    now
  })
  const cards = createEngine({
    cards: tv => documents.live('card', tv),
    commands,
    now
  })
  const repair = createRepair({
    db,
    tvs,
    hours: () => host.config.repairHours,
    hasRelay: tv => relays.some(each => each.tv === tv),
    isHeld: tv => bookings.holder(tv) != null,
    failures: tv => show.failures(tv),
    hasFault: tv => show.hasFault(tv),
    help: (tv, why) => host.degraded(`help for ${tv}`, why),
    now
  })
  const operator = createOperator({
    peers,
    agents: () => host.config.agents,
    own: () => [...tvs.values()].map(stateOf),
    look: commands.look,
    command: host.use.devices.command
  })

  const stateOf = (tv: Tv): TvState => ({
    name: tv.place.name,
    tags: { ...tv.place.tags },
    lamp: tv.lamp,
    ...(tv.reason == null ? {} : { reason: tv.reason.slice(0, 500) }),
    readings: tv.readings,
    bookings: bookings.of(tv.place.name)
  })
  const askerOf = (caller: Caller): Asker => {
    const account = accountOf(caller)
    return { peer: peers.self, ...(account == null ? {} : { account }) }
  }
  const peerAsker = (peer: string, account?: string): Asker => ({ peer, account })

  async function picture(
    on: string,
    isSmall: boolean,
    age: number,
    caller: Caller,
    until: AbortSignal
  ): Promise<Uint8Array> {
    const found = await operator.one(on, until)
    const name = isSmall ? 'screen.preview' : 'screen.shot'
    const ask = (args: { age?: number }) => operator.command(found, { name, args }, accountOf(caller), until)
    let answer = await ask(isSmall && age > 0 ? { age } : {})
    // nodes of before make each anew
    if (age > 0 && answer.is === 'refused') answer = await ask({})
    const { picture: png, is, why } = answer
    if (png == null) throw new TvFailedError(`${found.name}: ${is}${why == null ? '' : `, ${why}`}`)
    return png
  }

  async function hold(
    wanted: { tv: string; from: number; to: number; why: string; isOverride: boolean },
    asker: Asker
  ): Promise<string> {
    const { isOverride, ...rest } = wanted
    const tv = commands.demand(wanted.tv, asker, 'control')
    if (isOverride) commands.demand(wanted.tv, asker, 'override')
    const who = nameOf(asker)
    const others = bookings.book({ ...rest, who }, isOverride)
    await tv.note('booking', {
      is: isOverride ? 'taken' : 'held',
      by: who,
      until: rest.to,
      why: rest.why,
      ...(others.length === 0 ? {} : { from: others.map(each => each.who) })
    })
    return who
  }

  async function letGo(name: string, asker: Asker): Promise<boolean> {
    const tv = commands.demand(name, asker, 'control')
    const had = bookings.release(name, nameOf(asker))
    if (had) await tv.note('booking', { is: 'released', by: nameOf(asker) })
    return had
  }

  async function looked(tv: Tv, until: AbortSignal): Promise<void> {
    const isUp = tv.lamp === 'shell'
    host.degraded(tv.place.name, isUp ? undefined : tv.reason)
    if (isUp) await tv.look(until)
  }

  /** How the campaigns of an issuer are on the TVs here. */
  const statesFor = (issuer: string) =>
    [...tvs.values()].flatMap(tv =>
      campaignsOf(tv.place.name)
        .filter(each => each.issuer === issuer)
        .map(each => ({
          name: each.name,
          tv: tv.place.name,
          files: bring.count(tv, each),
          shown: show.shown(each, tv.place.name),
          isShowing: tv.readings.campaign === each.name
        }))
    )

  async function rehearse(tv: Tv, triggers: readonly Trigger[], hours: number) {
    const samples = await tv.samples(now() - hours * HOUR_MS)
    return triggers.map(each => ({ when: each.when, at: replay(each, samples, now()).slice(-MAX_TIMES) }))
  }

  return {
    operations: {
      ...createDocumentOperations({
        documents,
        operator,
        peers,
        files: host.use.files,
        nameOf: caller => nameOf(askerOf(caller)),
        states: () => statesFor(peers.self),
        rehearse: ({ tv, triggers, hours }) => rehearse(tvs.get(tv)!, triggers, hours),
        now
      }),

      list: ({ on }, call) => operator.find(on, call.signal),

      operations: () => ({
        items: OPERATIONS.map(({ name, summary, risk, verb, args }) => ({
          name,
          summary,
          risk,
          verb,
          ...(risk === 0 ? {} : { command: commandOf({ verb, risk }) }),
          args: z.toJSONSchema(args, { io: 'input', unrepresentable: 'any' })
        }))
      }),

      async do({ operation: name, on, args, ...plan }, call) {
        const { items: targets } = await operator.find(on, call.signal)
        const items: ({ agent: string; tv: string } & Omit<CommandAnswer, 'picture'>)[] = []
        const left = await rollOut(
          targets,
          plan,
          async found => {
            const { picture: _, ...answer } = await operator.command(
              found,
              { name, args },
              accountOf(call.caller),
              call.signal
            )
            const item = { agent: found.agent, tv: found.name, ...answer }
            items.push(item)
            await call.send(item)
            return answer.is === 'done'
          },
          call.signal
        )
        return { items, left: left.map(({ agent, name: tv }) => ({ agent, tv })) }
      },

      async shot({ on, small, age }, call) {
        const png = await picture(on, small, age, call.caller, call.signal)
        return { chunks: chunksOf(png), size: png.length, type: 'image/png' }
      },
      async live({ on }, call) {
        const { agent, name: tv } = await operator.one(on, call.signal)
        const account = accountOf(call.caller)
        const watch = (until: AbortSignal): AsyncIterable<Unit> =>
          agent === peers.self
            ? commands.demand(tv, askerOf(call.caller), 'read', 0).live.watch(until)
            : peers.open(agent, 'watch', { tv, account }, { signal: until }).items
        return { chunks: await framed(watch, call.signal, signal) }
      },
      picture: async ({ on, small }, call) => ({
        png: await picture(on, small, 0, call.caller, call.signal)
      }),

      async book({ on, minutes, why, override }, call) {
        const { items } = await operator.find(on, call.signal)
        const from = now()
        const to = from + minutes * MINUTE_MS
        return {
          items: await Promise.all(
            items.map(async ({ agent, name: tv }) => {
              const wanted = { tv, from, to: Math.round(to), why, isOverride: override }
              try {
                if (agent === peers.self) await hold(wanted, askerOf(call.caller))
                else
                  await peers.ask(
                    agent,
                    'hold',
                    { ...wanted, account: accountOf(call.caller) },
                    { signal: call.signal }
                  )
                return { agent, tv, held: true }
              } catch (error) {
                call.signal.throwIfAborted()
                return { agent, tv, held: false, why: (error as Error).message }
              }
            })
          )
        }
      },

      async release({ on }, call) {
        const { items } = await operator.find(on, call.signal)
        const account = accountOf(call.caller)
        return {
          items: await Promise.all(
            items.map(async ({ agent, name: tv }) => {
              try {
                if (agent === peers.self) return { agent, tv, had: await letGo(tv, askerOf(call.caller)) }
                const { had } = await peers.ask(agent, 'letGo', { tv, account }, { signal: call.signal })
                return { agent, tv, had }
              } catch (error) {
                call.signal.throwIfAborted()
                return { agent, tv, had: false, why: (error as Error).message }
              }
            })
          )
        }
      },

      async bookings({ on }, call) {
        const { items } = await operator.find(on, call.signal)
        return { items: items.flatMap(({ agent, bookings: held }) => held.map(each => ({ ...each, agent }))) }
      },

      async pair({ tv, code, pairPort: port }, call) {
        const target = commands.demand(tv, askerOf(call.caller), 'system')
        if ((code == null) !== (port == null))
          throw new TvRequestError('a code counts at its own port: give both that the TV shows, or none')
        if (code != null && port != null) {
          const { host } = target.place
          await pairByCode({ host, port, code, key, deadlineMs: config.answerMs, signal: call.signal })
        }
        await target.link.pair(call.signal)
        return { lamp: target.lamp }
      }
    },

    messages: {
      tvs: (_, { peer }) => ({
        tvs: [...tvs.values()].filter(({ place }) => may(peer, place.name, 'read', 0)).map(stateOf)
      }),
      look: ({ tv, account, ...command }, { peer, signal: until }) =>
        commands.look(tv, command, peerAsker(peer, account), until),
      async watch({ tv, account }, { peer, signal: until, send }) {
        const target = commands.demand(tv, peerAsker(peer, account), 'read', 0)
        for await (const unit of target.live.watch(until)) await send(unit)
        return {}
      },
      document: documents.accept,
      states: (_, { peer }) => ({ items: statesFor(peer) }),
      replay: async ({ tv, triggers, hours }, { peer }) => ({
        items: await rehearse(commands.demand(tv, peerAsker(peer), 'read', 0), triggers, hours)
      }),
      hold: async ({ account, ...rest }, { peer }) => ({ who: await hold(rest, peerAsker(peer, account)) }),
      letGo: async ({ tv, account }, { peer }) => ({ had: await letGo(tv, peerAsker(peer, account)) })
    },

    async start() {
      await show.recover()
      const everyMs = config.lookSeconds * 1000
      for (const tv of tvs.values()) {
        const { name } = tv.place
        host.repeat(`looking at ${name}`, everyMs, until => looked(tv, until))
        host.repeat(`cards of ${name}`, everyMs, until => cards.look(tv, until))
        host.repeat(`files for ${name}`, everyMs, until => bring.copyTo(tv, until))
        host.repeat(`repair of ${name}`, REPAIR_MS, until => repair.look(name, until))
        host.repeat(`showing on ${name}`, SHOW_MS, until => show.next(tv, until))
      }
      if (tvs.size > 0) host.repeat('files of campaigns', everyMs, bring.fetch)
      host.repeat('bringing documents', everyMs, documents.bring)
      host.repeat('tidying', HOUR_MS, bookings.tidy)
      if (tvs.size > 0) host.announce(true)
    },

    async stop() {
      await Promise.all([...tvs.values()].map(({ link }) => link.ended))
      for (const tv of tvs.values()) tv.close()
    }
  }
}

/** Who at this node asks, where it is not its owner. */
function accountOf(caller: Caller): string | undefined {
  if (caller.is === 'owner') return undefined
  if (caller.is === 'grant') return (caller.grant.account?.name ?? caller.grant.id).slice(0, 100)
  throw new ForbiddenError('only known people control TVs')
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
