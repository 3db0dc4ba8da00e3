/** Integer micro-credits: 1 credit = 1_000_000n. */
export type Micro = bigint

/** An account is an Ed25519 key; its id is the libp2p peer id string of that key. */
export type AccountId = string

export interface Payment {
  to: AccountId
  amount: Micro
  /** accepted slices that it pays for */
  slices: number
}
