/** What can be ordered: credits to a machine, back from it, a bonus, the end of a handpay. */
export const DOES = ['transfer', 'collect', 'bonus', 'handpay'] as const
export type Does = (typeof DOES)[number]

/** What two nodes have signed, as a command of the service devices. */
export interface Order {
  id: string
  /** of the whole command: another order cannot have it */
  hash: string
  /** serial number */
  machine: string
  does: Does
  amount: string
  /** peer ids */
  signers: readonly string[]
}
