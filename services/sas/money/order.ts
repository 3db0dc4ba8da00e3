import { createHash } from 'node:crypto'
import { z } from 'zod'
import { amount } from './amount.ts'

/** What can be ordered: credits to a machine, back from it, a bonus, the end of a handpay. */
export const DOES = ['transfer', 'collect', 'bonus', 'handpay'] as const
export type Does = (typeof DOES)[number]
/** What is signed; also the domain of its signatures. */
export const ORDER = 'money'
export const SIGNERS = 2

const peer = z.string().min(20).max(100)
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
export const signersOf = (
  { order: what, signatures }: SignedOrder,
  isSigned: (peer: string, domain: string, bytes: Uint8Array, signature: Uint8Array) => boolean
): string[] => [
  ...new Set(
    signatures
      .filter(each => isSigned(each.peer, ORDER, bytesOf(what), Buffer.from(each.signature, 'base64')))
      .map(each => each.peer)
  )
]
