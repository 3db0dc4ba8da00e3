import { createHash, randomUUID } from 'node:crypto'
import { z } from 'zod'
import { type IsSigned, NONCE_MS, SIGNERS, signersOf as signersOfBytes } from '../../host/index.ts'
import { PollRefusedError } from '../errors.ts'
import { amount } from './amount.ts'

/** What can be ordered: credits to a machine, back from it, a bonus, the end of a handpay. */
export const DOES = ['transfer', 'collect', 'bonus', 'handpay'] as const
export type Does = (typeof DOES)[number]
/** What is signed; also the domain of its signatures. */
export const ORDER = 'money'

/** of letters and digits: it is shown on a terminal */
const peer = z.string().min(20).max(100).regex(/^\w+$/)
export const order = z.strictObject({
  version: z.literal(1),
  /** the node at the machine */
  agent: peer,
  id: z.uuid(),
  /** its serial number */
  machine: z.string().min(1).max(40),
  does: z.enum(DOES),
  amount,
  /** the agent's, good for a minute and for one order */
  nonce: z.string().regex(/^[\da-f]{32}$/)
})
export type Order = z.output<typeof order>

export const signedOrder = z.strictObject({
  order,
  signatures: z
    .array(z.strictObject({ peer, signature: z.base64() }))
    .min(1)
    .max(SIGNERS)
})
export type SignedOrder = z.output<typeof signedOrder>

/** The bytes that are signed. */
export const bytesOf = ({ version, agent, id, machine, does, amount: sum, nonce }: Order): Uint8Array =>
  Buffer.from(JSON.stringify([version, agent, id, machine, does, sum, nonce]))

/** Of the whole order: another order cannot have it. */
export const hashOf = (what: Order): string => createHash('sha256').update(bytesOf(what)).digest('hex')

/** A line of text that one operator gives to the other. */
export const textOfOrder = (signed: SignedOrder): string =>
  Buffer.from(JSON.stringify(signed)).toString('base64url')

/** The id of an order that is made now: it says when that is (UUID 7). @param ms since 1970 */
export function idAt(ms: number): string {
  const time = ms.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}

/** What somebody sees before he signs it. */
export interface Reading extends Pick<Order, 'id' | 'agent' | 'machine' | 'does' | 'amount'> {
  /** who says that he has signed it */
  signedBy: string[]
  /** ms since 1970, by the clock of the first signer; undefined: its id does not say when it was made */
  until?: number | undefined
}
export function readingOf({ order: what, signatures }: SignedOrder): Reading {
  const { id, agent, machine, does, amount: sum } = what
  const madeAt = id[14] === '7' ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined
  return {
    id,
    agent,
    machine,
    does,
    amount: sum,
    signedBy: signatures.map(each => each.peer),
    ...(madeAt == null ? {} : { until: madeAt + NONCE_MS })
  }
}

const WORDS: Readonly<Record<Does, string>> = {
  transfer: 'Bring credits for AMOUNT to',
  collect: 'Take credits for AMOUNT back from',
  bonus: 'Pay a bonus of AMOUNT at',
  handpay: 'End a handpay of AMOUNT at'
}

/** The same in words; a name from elsewhere is quoted, so that it cannot look like something else. */
export function wordsOf({ agent, machine, does, amount: sum, signedBy, until }: Reading): string {
  const when = until == null ? 'a minute after it was ordered' : new Date(until).toISOString()
  const name = JSON.stringify(machine).replace(
    /[^ -~]/g,
    each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
  const what = `${WORDS[does].replace('AMOUNT', sum)} machine ${name} of node ${agent}`
  return `${what}, as ${signedBy.join(', ') || 'nobody'} has signed, good until ${when}`
}

/** What `sas order` has printed. @throws {PollRefusedError} it is no order */
export function givenOrder(text: string): SignedOrder {
  const given = orderOf(text)
  if (given == null) throw new PollRefusedError('this is no order; paste what sas order has printed')
  return given
}

/** Undefined: it is none. */
export function orderOf(text: string): SignedOrder | undefined {
  try {
    return signedOrder.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
  } catch {
    // no JSON or no order, which is the same to whoever has pasted it
    return undefined
  }
}

/** Who has signed exactly this order, each once. */
export const signersOf = ({ order: what, signatures }: SignedOrder, isSigned: IsSigned): string[] =>
  signersOfBytes(
    bytesOf(what),
    ORDER,
    signatures.map(({ peer: signer, signature }) => ({
      signer,
      signature: Buffer.from(signature, 'base64')
    })),
    isSigned
  )
