import {
  ConflictError,
  DocumentError,
  eachOf,
  ForbiddenError,
  judge,
  type Known,
  knownOf,
  type Signed
} from '../../host/index.ts'
import type { IsSigned, Log, Signer } from '../context.ts'
import type { Body } from '../log/entry.ts'
import type { Peers, Reply, Request } from '../messages.ts'
import { pause } from '../time/pause.ts'
import { type FleetIssued, fleetDocuments, type Wishes } from './document.ts'
import type { FleetStore } from './store.ts'

/** Nodes that are asked at once. */
const AT_ONCE = 16
const ASK_MS = 10_000
const ANSWERS_MS = 5_000

export type AgentState = Reply<'document'>['state']
/** How a node beside devices is, as it said last. */
export interface Heard {
  state?: AgentState
  version?: number
  /** ms since 1970 */
  at?: number
  /** why it said nothing when it was asked last */
  error?: string
}

export interface FleetInit {
  fleet: string
  self: string
  /** nodes whose documents count here */
  owners(): readonly string[]
  store: FleetStore
  /** the newest document that the log speaks of: it stays where the database is lost or set back */
  remembered(): Known | undefined
  /** Writes an entry about this node; what is not in the log does not count. */
  note(body: Body): Promise<unknown>
  peers: Peers
  /** whom this node shares its logs with */
  others(): readonly string[]
  /** how this node is */
  state(): Promise<AgentState>
  sign: Signer
  isSigned: IsSigned
  now(): number
  /** something that its owner must know; undefined: over */
  trouble(what: string, why: string | undefined): void
  /** another document counts, or an agent is not as it was */
  changed(): void
  /** aborted when the service stops */
  signal: AbortSignal
  log: Log
}

/**
 * The document of the fleet: what devices should be, and who may command. The newest that an owner has signed counts.
 * Nodes compare what they have; who has an older one is given the newer, also its owner.
 */
export function createFleet(init: FleetInit) {
  const { fleet, self, owners, store, remembered, note, peers, others, sign, isSigned, now } = init
  const { trouble, changed, log, signal: ended } = init
  const heard = new Map<string, Heard>()
  let queue: Promise<unknown> = Promise.resolve()
  let kept = load()

  /** One after the other: what is newer is decided once it is written. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = queue.then(work)
    queue = done.catch(() => undefined /* told to who asked */)
    return done
  }

  function load(): FleetIssued | undefined {
    const row = store.read()
    if (row == null) return undefined
    try {
      return fleetDocuments.verify(row, isSigned)
    } catch (error) {
      trouble(
        'document',
        `that of the fleet is damaged here, and asked of others: ${(error as Error).message}`
      )
      return undefined
    }
  }

  /** Of a node that is no owner any more nothing counts. */
  const current = (): FleetIssued | undefined =>
    kept != null && owners().includes(kept.issuer) ? kept : undefined

  function known(): Known | undefined {
    const own = kept && knownOf(kept)
    const before = remembered()
    return before != null && (own == null || before.version > own.version) ? before : own
  }

  async function taken(signed: Signed): Promise<ReturnType<typeof judge>> {
    const { issuer } = signed
    if (!owners().includes(issuer))
      throw new DocumentError(
        `${issuer} is no owner of the fleet of this node; its owners stand in devices.fleetOwners`
      )
    const offered = fleetDocuments.verify(signed, isSigned)
    const { version, by } = offered.document
    if (offered.document.fleet !== fleet)
      throw new DocumentError(
        `a document of the fleet "${offered.document.fleet}"; this node is of "${fleet}"`
      )
    const verdict = judge(known(), knownOf(offered))
    if (verdict === 'fork') {
      const why = `two documents of the fleet have the version ${version}; write the next one, and it counts`
      trouble('document', why)
      throw new DocumentError(why)
    }
    const isLacking = verdict === 'same' && kept?.hash !== offered.hash
    if (verdict !== 'newer' && !isLacking) return verdict
    if (verdict === 'newer') await note({ version, hash: offered.hash, issuer, by })
    store.save(signed, issuer === self ? now() : 0)
    kept = offered
    trouble('document', undefined)
    changed()
    return verdict
  }

  /** Takes what somebody gives. @throws {DocumentError} @throws {LogFullError} */
  const take = (signed: Signed): Promise<ReturnType<typeof judge>> =>
    inTurn(async () => {
      const verdict = await taken(signed)
      if (verdict === 'newer' && signed.issuer === self)
        trouble(
          'memory',
          `version ${kept!.document.version} of the fleet's document came back from others: this node has signed it and did not know. What was written here with lower numbers does not count`
        )
      return verdict
    })

  const signedOf = ({ issuer, bytes, signature }: FleetIssued): Signed => ({ issuer, bytes, signature })
  const told = (): Pick<Request<'document'>, 'version' | 'hash'> =>
    kept == null ? { version: 0, hash: '' } : knownOf(kept)

  async function compareWith(peer: string, signal: AbortSignal): Promise<void> {
    try {
      let answer = await ask(peer, told(), signal)
      if (answer.document != null) await take(answer.document)
      else if (kept != null && answer.hash !== kept.hash && answer.version <= kept.document.version) {
        answer = await ask(peer, { ...told(), document: signedOf(kept) }, signal)
        if (answer.why != null) throw new DocumentError(answer.why)
      }
      const isSame = kept != null && answer.hash === kept.hash
      if (isSame && owners().includes(peer)) store.confirm(now())
      hear(peer, { state: answer.state, version: answer.version, at: now() })
    } catch (error) {
      signal.throwIfAborted()
      const { message } = error as Error
      log('%s says nothing of the fleet: %s', peer, message)
      const { state, version, at } = heard.get(peer) ?? {}
      hear(peer, { state, version, at, error: message })
    }
  }

  const ask = (peer: string, request: Request<'document'>, signal: AbortSignal): Promise<Reply<'document'>> =>
    peers.ask(peer, 'document', request, { signal, deadlineMs: ASK_MS })

  function hear(peer: string, { at, ...rest }: Heard): void {
    const { at: _, ...before } = heard.get(peer) ?? {}
    heard.set(peer, { ...rest, ...(at == null ? {} : { at }) })
    if (JSON.stringify(before) !== JSON.stringify(rest)) changed()
  }

  /** Compares with all that this node knows of: an owner with all that its document names, too. */
  async function round(signal: AbortSignal, wishes: Wishes | undefined = kept?.document): Promise<void> {
    if (owners().length === 0) return
    const { agents = [], grants = [] } = wishes ?? {}
    const named = [...agents, ...grants.map(({ peer }) => peer)]
    const all = new Set([...owners(), ...others(), ...(owners().includes(self) ? named : [])])
    all.delete(self)
    for (const peer of heard.keys()) if (!all.has(peer)) heard.delete(peer)
    await eachOf([...all], AT_ONCE, peer => compareWith(peer, signal))
    if (kept != null && owners().includes(self)) store.confirm(now())
    const lacks = known()
    if (lacks != null && lacks.version > (kept?.document.version ?? 0))
      trouble(
        'document',
        `version ${lacks.version} of the fleet's document, which the log speaks of, is not here`
      )
  }

  /** Those that answer have done so by then; who writes waits for no other. */
  async function soon(work: Promise<void>): Promise<void> {
    const done = work.catch((error: Error) => log('not all were asked: %s', error.message))
    await Promise.race([done, pause(ANSWERS_MS, ended)])
  }

  return {
    current,
    known,
    take,
    round,
    /** ms since an owner said that there is no newer one */
    age: (): number => {
      const at = store.read()?.confirmedAt
      // a clock that went back says nothing
      return at == null || at > now() ? Number.POSITIVE_INFINITY : now() - at
    },
    signed: (): Signed | undefined => kept && signedOf(kept),
    /** What is known of nodes beside devices. */
    heard: (peer: string): Heard => heard.get(peer) ?? {},

    /**
     * Signs the next version. `after` is the one that it was written on: 0 where there is none yet.
     *
     * @throws {ConflictError} another one is the newest, here or at a node that answers
     * @throws {ForbiddenError} this node is no owner
     */
    async issue(wishes: Wishes, after: number, by: string, signal: AbortSignal): Promise<number> {
      if (!owners().includes(self))
        throw new ForbiddenError('this node is no owner of its fleet; those stand in devices.fleetOwners')
      // also one that has lost everything hears so from those that it writes for
      await soon(round(signal, wishes))
      const version = await inTurn(async () => {
        const newest = known()?.version ?? 0
        if (newest !== after)
          throw new ConflictError(
            `the newest document of the fleet "${fleet}" has the version ${newest}, and yours was written on ${after}; read devices fleet, and write it on that`
          )
        const content = { ...wishes, fleet, version: newest + 1, by, at: now() }
        await taken(fleetDocuments.issue(content, self, sign))
        trouble('memory', undefined)
        return newest + 1
      })
      await soon(round(signal))
      return version
    },

    /** What this node says to who compares. */
    async answer({ version, hash, document }: Request<'document'>, peer: string): Promise<Reply<'document'>> {
      let why: string | undefined
      if (document != null)
        try {
          await take(document as Signed)
        } catch (error) {
          if (!(error instanceof DocumentError)) throw error
          why = error.message
          log.error('%s gave a document of the fleet that was refused: %s', peer, why)
        }
      const own = told()
      if (owners().includes(peer) && own.version > 0 && hash === own.hash) store.confirm(now())
      return {
        ...own,
        ...(kept != null && version < kept.document.version ? { document: signedOf(kept) } : {}),
        ...(why == null ? {} : { why }),
        state: await init.state()
      }
    }
  }
}

export type Fleet = ReturnType<typeof createFleet>
