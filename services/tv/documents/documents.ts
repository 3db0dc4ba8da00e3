import type { DatabaseSync } from 'node:sqlite'
import type { z } from 'zod'
import {
  DocumentError,
  documentKind,
  eachOf,
  type Issued as HostIssued,
  type IsSigned,
  judge,
  knownOf,
  type Sign,
  type Signed as SignedDocument,
  transact
} from '../../host/index.ts'
import { campaign } from '../campaigns/campaign.ts'
import { card } from '../cards/card.ts'
import { MAX_DOCUMENT_BYTES } from '../messages.ts'
import type { Kind, Target } from './target.ts'

const SCHEMAS = { campaign, card }
const maxBytes = MAX_DOCUMENT_BYTES
const KINDS = {
  campaign: documentKind({ name: 'campaign', domain: 'campaign', schema: campaign, maxBytes }),
  card: documentKind({ name: 'card', domain: 'card', schema: card, maxBytes })
}
/** of one kind and issuer */
const MAX_DOCUMENTS = 200
/** Documents that are brought to other nodes at once. */
const AT_ONCE = 16

export type DocumentOf<K extends Kind> = z.output<(typeof SCHEMAS)[K]>
/** As it is given to other nodes. */
export interface Signed extends SignedDocument {
  kind: Kind
}
export type Issued<K extends Kind> = DocumentOf<K> & { issuer: string }

export interface DocumentsInit {
  db: DatabaseSync
  self: string
  sign: Sign
  isSigned: IsSigned
  /** whether what this node signs counts for a TV here */
  may(issuer: string, kind: Kind, tv: string): boolean
  give(agent: string, document: Signed, signal: AbortSignal): Promise<Given>
  /** a new one counts here */
  onTaken(kind: Kind, document: Issued<Kind>, before: readonly Target[]): void | Promise<void>
  /** one of them cannot be used, and the others can; undefined: it can again */
  trouble(what: string, why: string | undefined): void
}

/** What became of a document that was given to a node: it has it, unless it says why not. */
export interface Given {
  why?: string
  /** what it has of the same issuer and name, which counts more */
  newer?: Pick<Signed, 'bytes' | 'signature'>
}

interface Row {
  kind: Kind
  issuer: string
  name: string
  version: number
  bytes: Uint8Array
  signature: Uint8Array
}

/**
 * Campaigns and cards, signed by who made them: the newest version of each counts. A node beside TVs keeps those that
 * are for its TVs, and uses them while their issuer has the grant; who made them brings them until all have them.
 */
export function createDocuments({ db, self, sign, isSigned, may, give, onTaken, trouble }: DocumentsInit) {
  const put = db.prepare('INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?, ?, ?)')
  const find = db.prepare('SELECT * FROM document WHERE kind = ? AND issuer = ? AND name = ?')
  const count = db.prepare('SELECT count(*) AS n FROM document WHERE kind = ? AND issuer = ?')
  const owe = db.prepare('INSERT OR IGNORE INTO delivery VALUES (?, ?, ?, 0, NULL)')
  const note = db.prepare(
    'UPDATE delivery SET version = max(version, ?), why = ? WHERE kind = ? AND name = ? AND agent = ?'
  )
  const owed = db.prepare(
    `SELECT kind, name, agent FROM delivery JOIN document USING (kind, name)
     WHERE issuer = ? AND delivery.version < document.version`
  )
  const deliveries = db.prepare('SELECT agent, version, why FROM delivery WHERE kind = ? AND name = ?')
  /** by kind, issuer and name */
  const known = new Map<string, HostIssued<Issued<Kind>> & { kind: Kind }>()
  const keyOf = (kind: Kind, issuer: string, name: string): string => `${kind} ${issuer} ${name}`
  const rowOf = (kind: Kind, issuer: string, name: string) => find.get(kind, issuer, name) as Row | undefined

  for (const row of db.prepare('SELECT * FROM document').all() as unknown as Row[]) {
    const { kind, name } = row
    try {
      remember(kind, KINDS[kind].verify(row, isSigned))
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error
      trouble(`kept ${kind} ${name}`, `it is damaged: ${error.message}`)
    }
  }

  function remember(kind: Kind, issued: HostIssued<DocumentOf<Kind>>): Issued<Kind> {
    const { issuer } = issued
    const document = { ...issued.document, issuer }
    known.set(keyOf(kind, issuer, document.name), { ...issued, kind, document })
    return document
  }

  async function take(
    kind: Kind,
    issued: HostIssued<DocumentOf<Kind>>,
    also: () => void = () => undefined
  ): Promise<void> {
    const { issuer, document, bytes, signature } = issued
    const before = known.get(keyOf(kind, issuer, document.name))?.document.targets ?? []
    transact(db, () => {
      put.run(kind, issuer, document.name, document.version, bytes, signature)
      also()
    })
    trouble(`kept ${kind} ${document.name}`, undefined)
    await onTaken(kind, remember(kind, issued), before)
  }

  /** Signs the version of what this node says under a name that comes after `newest`. */
  async function issue(
    kind: Kind,
    document: Omit<DocumentOf<Kind>, 'version'>,
    newest: number
  ): Promise<Issued<Kind>> {
    const issued = KINDS[kind].issue({ ...document, version: newest + 1 } as never, self, sign)
    const { name, targets } = issued.document
    await take(kind, issued, () => {
      for (const agent of new Set(targets.map(each => each.agent)))
        if (agent !== self) owe.run(kind, name, agent)
    })
    return { ...issued.document, issuer: self }
  }

  /** This node has forgotten that it has signed a newer one, as one does whose database is lost: what it says now is newer. */
  async function goBeyond({ kind, name, version }: Row, newer: NonNullable<Given['newer']>): Promise<void> {
    const own = known.get(keyOf(kind, self, name))
    if (own?.document.version !== version) return
    // another node only says so: this one goes beyond what it has signed
    const forgotten = KINDS[kind].verify({ issuer: self, ...newer }, isSigned)
    if (forgotten.document.name !== name || judge(knownOf(own), knownOf(forgotten)) === 'older') return
    const { issuer: _, ...document } = own.document
    await issue(kind, document, forgotten.document.version)
  }

  /** Why it is not kept; nothing: it is. @throws {DocumentError} it never can be */
  async function accept(signed: Signed): Promise<Given> {
    const { kind, issuer } = signed
    if (issuer === self) throw new DocumentError('what this node signs comes from itself only')
    const offered = KINDS[kind].verify(signed, isSigned)
    const { by, name, version, targets } = offered.document
    if (by !== issuer && !by.startsWith(`${issuer}/`))
      throw new DocumentError(`${issuer} cannot speak for ${by.slice(0, 100)}`)
    const row = rowOf(kind, issuer, name)
    const own = targets.filter(({ agent }) => agent === self)
    const isMeant = own.some(({ tv }) => may(issuer, kind, tv))
    if (!isMeant && (row == null || own.length > 0))
      return { why: `${issuer} has no grant for ${kind} on these TVs` }
    const kept = known.get(keyOf(kind, issuer, name))
    // of one that is damaged here the version still counts
    const before = kept == null ? row && { version: row.version, hash: offered.hash } : knownOf(kept)
    const verdict = judge(before, knownOf(offered))
    if (verdict === 'same' && kept != null) return {}
    if (verdict === 'older' || verdict === 'fork')
      return {
        why: `version ${before!.version} of it is here, and counts more than ${version}`,
        ...(kept == null ? {} : { newer: { bytes: kept.bytes, signature: kept.signature } })
      }
    if (row == null && (count.get(kind, issuer) as { n: number }).n >= MAX_DOCUMENTS)
      return { why: `${issuer} has ${MAX_DOCUMENTS} of them here already` }
    await take(kind, offered)
    return {}
  }

  async function bringTo(row: Row, agent: string, signal: AbortSignal): Promise<void> {
    const { kind, issuer, name, version, bytes, signature } = row
    const { why, newer } = await give(agent, { kind, issuer, bytes, signature }, signal).catch(
      (error: Error): Given => {
        signal.throwIfAborted()
        return { why: error.message }
      }
    )
    const lie = newer && (await goBeyond(row, newer).catch(asReason))
    const reason = lie?.why ?? why
    note.run(reason == null ? version : 0, reason == null ? null : reason.slice(0, 300), kind, name, agent)
  }

  const all = <K extends Kind>(kind: K, isMeant: (document: Issued<Kind>) => boolean): Issued<K>[] =>
    [...known.values()]
      .filter(each => each.kind === kind && isMeant(each.document))
      .map(({ document }) => document as never)

  return {
    /** Signs the next version of what this node says under a name. */
    async issue<K extends Kind>(
      kind: K,
      document: Omit<z.input<(typeof SCHEMAS)[K]>, 'version'>
    ): Promise<Issued<K>> {
      const before = rowOf(kind, self, document.name as string)
      return (await issue(kind, document as never, before?.version ?? 0)) as never
    },

    /** Takes what another node gives. */
    accept: (signed: Signed): Promise<Given> => accept(signed).catch(asReason),

    /** Those that count for a TV of this node now. */
    live: <K extends Kind>(kind: K, tv: string): Issued<K>[] =>
      all(
        kind,
        ({ targets, issuer }) =>
          targets.some(target => target.agent === self && target.tv === tv) && may(issuer, kind, tv)
      ),

    /** What this node has signed and not ended. */
    own: <K extends Kind>(kind: K): Issued<K>[] =>
      all(kind, ({ targets, issuer }) => issuer === self && targets.length > 0),

    find: <K extends Kind>(kind: K, issuer: string, name: string): Issued<K> | undefined =>
      known.get(keyOf(kind, issuer, name))?.document as Issued<K> | undefined,

    /** Which version of an own one the other nodes have, and why none. */
    deliveries: (kind: Kind, name: string) =>
      deliveries.all(kind, name) as unknown as { agent: string; version: number; why: string | null }[],

    /** Brings what others do not have yet. */
    async bring(signal: AbortSignal): Promise<void> {
      const all = owed.all(self) as unknown as { kind: Kind; name: string; agent: string }[]
      await eachOf(all, AT_ONCE, async ({ kind, name, agent }) => {
        const row = rowOf(kind, self, name)
        if (row != null) await bringTo(row, agent, signal)
      })
    }
  }
}

export type Documents = ReturnType<typeof createDocuments>

/** What is none is the asker's mistake, any other error is ours. */
function asReason(error: Error): Given {
  if (!(error instanceof DocumentError)) throw error
  return { why: error.message.slice(0, 500) }
}
