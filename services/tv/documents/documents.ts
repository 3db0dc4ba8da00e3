import type { DatabaseSync } from 'node:sqlite'
import type { z } from 'zod'
import { transact } from '../../host/index.ts'
import { campaign } from '../campaigns/campaign.ts'
import { card } from '../cards/card.ts'
import { TvRequestError } from '../errors.ts'
import { MAX_DOCUMENT_BYTES } from '../messages.ts'
import type { Kind, Target } from './target.ts'

const SCHEMAS = { campaign, card }
/** of one kind and issuer */
const MAX_DOCUMENTS = 200

export type DocumentOf<K extends Kind> = z.output<(typeof SCHEMAS)[K]>
/** As it is given to other nodes. */
export interface Signed {
  kind: Kind
  issuer: string
  bytes: Uint8Array
  signature: Uint8Array
}
export type Issued<K extends Kind> = DocumentOf<K> & { issuer: string }

export interface DocumentsInit {
  db: DatabaseSync
  self: string
  sign(domain: string, bytes: Uint8Array): Uint8Array
  isSigned(peer: string, domain: string, bytes: Uint8Array, signature: Uint8Array): boolean
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
  /** of the same issuer and name, which counts more there */
  newest?: number
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
    `SELECT document.*, agent FROM delivery JOIN document USING (kind, name)
     WHERE issuer = ? AND delivery.version < document.version`
  )
  const deliveries = db.prepare('SELECT agent, version, why FROM delivery WHERE kind = ? AND name = ?')
  /** by kind, issuer and name */
  const known = new Map<string, { kind: Kind; document: Issued<Kind> }>()
  const keyOf = (kind: Kind, issuer: string, name: string): string => `${kind} ${issuer} ${name}`

  for (const { kind, issuer, name, bytes } of db
    .prepare('SELECT * FROM document')
    .all() as unknown as Row[]) {
    const kept = SCHEMAS[kind].safeParse(readOr(bytes))
    if (kept.success) remember(kind, issuer, kept.data)
    else trouble(`kept ${kind} ${name}`, `it is damaged: ${kept.error.issues[0]?.message}`)
  }

  function remember(kind: Kind, issuer: string, document: DocumentOf<Kind>): Issued<Kind> {
    const issued = { ...document, issuer }
    known.set(keyOf(kind, issuer, document.name), { kind, document: issued })
    return issued
  }

  async function take(
    { kind, issuer, bytes, signature }: Signed,
    document: DocumentOf<Kind>,
    also: () => void = () => undefined
  ): Promise<void> {
    const before = known.get(keyOf(kind, issuer, document.name))?.document.targets ?? []
    transact(db, () => {
      put.run(kind, issuer, document.name, document.version, bytes, signature)
      also()
    })
    trouble(`kept ${kind} ${document.name}`, undefined)
    await onTaken(kind, remember(kind, issuer, document), before)
  }

  /** Signs the version of what this node says under a name that comes after `newest`. */
  async function issue(
    kind: Kind,
    document: Omit<DocumentOf<Kind>, 'version'>,
    newest: number
  ): Promise<Issued<Kind>> {
    const { name } = document
    const whole = SCHEMAS[kind].parse({ ...document, version: newest + 1 })
    const bytes = Buffer.from(JSON.stringify(whole))
    if (bytes.length >= MAX_DOCUMENT_BYTES)
      throw new TvRequestError(`this ${kind} has ${bytes.length} bytes; at most ${MAX_DOCUMENT_BYTES}`)
    await take({ kind, issuer: self, bytes, signature: sign(kind, bytes) }, whole, () => {
      for (const agent of new Set(whole.targets.map(each => each.agent)))
        if (agent !== self) owe.run(kind, name, agent)
    })
    return { ...whole, issuer: self }
  }

  /** This node has forgotten that it has signed newer ones, as one does whose database is lost: what it says now is newer. */
  async function goBeyond({ kind, name, version }: Row, newest: number): Promise<void> {
    const own = known.get(keyOf(kind, self, name))?.document
    if (own?.version !== version || newest < version) return
    const { issuer: _, ...document } = own
    await issue(kind, document, newest)
  }

  return {
    /** Signs the next version of what this node says under a name. */
    async issue<K extends Kind>(
      kind: K,
      document: Omit<z.input<(typeof SCHEMAS)[K]>, 'version'>
    ): Promise<Issued<K>> {
      const before = find.get(kind, self, document.name as string) as Row | undefined
      return (await issue(kind, document as never, before?.version ?? 0)) as never
    },

    /** Takes what another node gives. */
    async accept(signed: Signed): Promise<Given> {
      const { kind, issuer, bytes, signature } = signed
      if (issuer === self || !isSigned(issuer, kind, bytes, signature))
        return { why: `${issuer} has not signed this ${kind}` }
      const read = SCHEMAS[kind].safeParse(readOr(bytes))
      if (!read.success) return { why: `this is no ${kind}: ${read.error.issues[0]?.message}` }
      const document = read.data
      if (document.by !== issuer && !document.by.startsWith(`${issuer}/`))
        return { why: `${issuer} cannot speak for ${document.by.slice(0, 100)}` }
      const before = find.get(kind, issuer, document.name) as Row | undefined
      const own = document.targets.filter(({ agent }) => agent === self)
      const isMeant = own.some(({ tv }) => may(issuer, kind, tv))
      if (!isMeant && (before == null || own.length > 0))
        return { why: `${issuer} has no grant for ${kind} on these TVs` }
      if (before != null && Buffer.from(before.bytes).equals(bytes)) return {}
      if (before != null && before.version >= document.version)
        return {
          why: `version ${before.version} of it is here, and counts more than ${document.version}`,
          newest: before.version
        }
      if (before == null && (count.get(kind, issuer) as { n: number }).n >= MAX_DOCUMENTS)
        return { why: `${issuer} has ${MAX_DOCUMENTS} of them here already` }
      await take(signed, document)
      return {}
    },

    /** Those that count for a TV of this node now. */
    live<K extends Kind>(kind: K, tv: string): Issued<K>[] {
      return [...known.values()]
        .filter(
          each =>
            each.kind === kind &&
            each.document.targets.some(target => target.agent === self && target.tv === tv) &&
            may(each.document.issuer, kind, tv)
        )
        .map(({ document }) => document as never)
    },

    /** What this node has signed and not ended. */
    own: <K extends Kind>(kind: K): Issued<K>[] =>
      [...known.values()]
        .filter(
          each => each.kind === kind && each.document.issuer === self && each.document.targets.length > 0
        )
        .map(({ document }) => document as never),

    find: <K extends Kind>(kind: K, issuer: string, name: string): Issued<K> | undefined =>
      known.get(keyOf(kind, issuer, name))?.document as Issued<K> | undefined,

    /** Which version of an own one the other nodes have, and why none. */
    deliveries: (kind: Kind, name: string) =>
      deliveries.all(kind, name) as unknown as { agent: string; version: number; why: string | null }[],

    /** Brings what others do not have yet. */
    async bring(signal: AbortSignal): Promise<void> {
      await Promise.all(
        (owed.all(self) as unknown as (Row & { agent: string })[]).map(async row => {
          const { kind, issuer, name, version, bytes, signature, agent } = row
          const { why, newest } = await give(agent, { kind, issuer, bytes, signature }, signal).catch(
            (error: Error): Given => {
              signal.throwIfAborted()
              return { why: error.message }
            }
          )
          note.run(why == null ? version : 0, why == null ? null : why.slice(0, 300), kind, name, agent)
          if (newest != null) await goBeyond(row, newest)
        })
      )
    }
  }
}

export type Documents = ReturnType<typeof createDocuments>

function readOr(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    // no JSON, so no document
    return undefined
  }
}
