import { RequestError } from '../../host/index.ts'
import { byKey, textOf } from '../core/compare.ts'
import type { Fields } from '../extract/contract.ts'
import { MAX_SHARED_CHARS, MAX_SHARED_ITEMS, type SharedRule, type Statement } from '../messages.ts'
import { bytesOf, hashOf, LOOK, rootOf } from './statement.ts'

/** What a node says that it saw, or why it said nothing. */
export type Said =
  | { peer: string; statement: Statement; items: ReadonlyMap<string, Fields> }
  | { peer: string; reason: string }

export interface Others {
  ask(peer: string): Promise<Omit<Extract<Said, { items: unknown }>, 'peer'>>
  /** of a peer that has answered; undefined: every machine there is its own */
  networkOf(peer: string): string | undefined
}

/**
 * Asks the first `wanted` of the peers at once; for each that fails the next takes over, and for one whose network has
 * answered already: as far as it shows both have one owner.
 *
 * @returns one for each who was asked
 */
export async function askOthers(
  peers: readonly string[],
  wanted: number,
  { ask, networkOf }: Others
): Promise<Said[]> {
  const said: Said[] = []
  const networks = new Set<string>()
  const left = peers.values()

  async function askOne(peer: string): Promise<Said> {
    try {
      const answer = await ask(peer)
      const network = networkOf(peer)
      if (network != null && networks.has(network))
        return { peer, reason: `it stands in ${network}, from where another one has answered` }
      if (network != null) networks.add(network)
      return { peer, ...answer }
    } catch (error) {
      return { peer, reason: `${(error as Error).name}: ${(error as Error).message}`.slice(0, 300) }
    }
  }

  async function fillPlace(): Promise<void> {
    for (const peer of left) {
      const one = await askOne(peer)
      said.push(one)
      if ('items' in one) return
    }
  }
  await Promise.all(Array.from({ length: wanted }, fillPlace))
  return said
}

/**
 * Reads an answer, and takes it only where its sender signed these very items.
 *
 * @param regions where the sender must be, as it says; default: anywhere
 * @throws {RequestError} it is too long, not what was signed, or from elsewhere
 */
export async function readAnswer(
  { items: parts, answer }: { items: AsyncIterable<Fields[]>; answer: Promise<Statement> },
  {
    peer,
    rule,
    regions,
    isSigned
  }: { peer: string; rule: SharedRule; regions?: readonly string[]; isSigned: IsSigned }
) {
  const rows: Fields[] = []
  let chars = 0
  for await (const part of parts) {
    rows.push(...part)
    chars += part.reduce((sum, fields) => sum + textOf(fields).length, 0)
    if (rows.length > MAX_SHARED_ITEMS || chars > MAX_SHARED_CHARS)
      throw new RequestError(`${peer} sends more than ${MAX_SHARED_ITEMS} items`)
  }
  const statement = await answer
  const items = byKey(rows, rule.key)
  const hash = hashOf(rule)
  if (rootOf(hash, items) !== statement.root)
    throw new RequestError(`${peer} sends other items than those that it signs`)
  if (!isSigned(peer, LOOK, bytesOf(hash, statement), statement.signature))
    throw new RequestError(`${peer} did not sign what it says`)
  const { region } = statement
  if (regions?.includes(region) === false)
    throw new RequestError(`${peer} is in ${region || 'no region'}, not in ${regions.join(', ')}`)
  return { statement, items }
}

type IsSigned = (peer: string, domain: string, bytes: Uint8Array, signature: Uint8Array) => boolean
