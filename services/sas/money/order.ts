import { z } from 'zod'
import type { MachineState } from '../machine/machine.ts'
import { amount, centsOf, textOf } from './amount.ts'
import { DOES, isGranted, type MoneyFile } from './file.ts'

/** What is signed; also the domain of its signatures. */
export const ORDER = 'money'
export const SIGNERS = 2
/** A machine that was not heard for so long may be another one. */
const HEARD_MS = 5_000

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

/** What must be known before one byte goes out. */
export interface Facts {
  self: string
  file: MoneyFile | { why: string }
  /** see `signersOf` */
  signers: readonly string[]
  /** its nonce is one that this node gave less than a minute ago, and nobody has used */
  isFresh: boolean
  /** the one of that serial number, as it is polled here */
  machine: Readonly<MachineState> | undefined
  /** cents of the last 24 hours, without what has failed */
  today: bigint
  /** an order of that machine whose end nobody knows */
  open: string | undefined
  now: number
}

/** Why an order is not carried out; undefined: all of it is right. Pure. */
export function whyNot(what: Order, facts: Facts): string | undefined {
  const { self, file, signers, isFresh, machine, today, open, now } = facts
  if ('why' in file) return file.why
  if (what.agent !== self) return `it is for ${what.agent}`
  if (signers.length < SIGNERS)
    return `it needs ${SIGNERS} signatures of different nodes, and has ${signers.length}`
  const stranger = signers.find(
    each => !isGranted(file, { peer: each, does: what.does, machine: what.machine }, now)
  )
  if (stranger != null) return `${stranger} has no grant for ${what.does} at ${what.machine}`
  if (!isFresh) return 'its nonce was used, or is older than a minute; order again'
  const cents = centsOf(what.amount)!
  if (cents > centsOf(file.perCommand)!) return `${what.amount} is more than ${file.perCommand} for one order`
  if (today + cents > centsOf(file.perDay)!)
    return `${textOf(today)} of ${file.perDay} for 24 hours have been ordered already`
  if (machine == null || !machine.isUp) return `no machine ${what.machine} answers here`
  if (machine.heardAt == null || now - machine.heardAt > HEARD_MS)
    return `${what.machine} was not heard for ${HEARD_MS / 1000} s`
  if (open != null) return `order ${open} of ${what.machine} has no end yet; see sas payments`
  return undefined
}
