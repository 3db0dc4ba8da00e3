import { type Ledger, verifyReceipt } from '../../ledger/index.ts'
import type { Handlers } from '../host/index.ts'
import type { Balance, credits } from './credits.ts'
import { UncertifiedError } from './errors.ts'

/** A round trip to the witnesses, where some of them are away; within the deadline of the operation. */
const CERTIFY_MS = 20_000

export interface CreditsComponents {
  ledger: Pick<
    Ledger,
    'account' | 'balance' | 'balances' | 'supply' | 'history' | 'transfer' | 'reputation' | 'top'
  >
}

export function answerCredits({ ledger }: CreditsComponents): Handlers<(typeof credits)['operations']> {
  return {
    balance: ({ all }) => ({
      ...balanceOf(ledger),
      ...(all ? { accounts: Object.fromEntries(ledger.balances()) } : {})
    }),
    history: ({ limit }) => ({ items: ledger.history({ limit }) }),
    async transfer({ to, amount, memo }, { signal }) {
      const late = AbortSignal.timeout(CERTIFY_MS)
      try {
        await ledger.transfer(to, amount, { memo, signal: AbortSignal.any([signal, late]) })
      } catch (error) {
        if (late.aborted && error === late.reason) throw new UncertifiedError(CERTIFY_MS)
        throw error
      }
      return balanceOf(ledger)
    },
    top: ({ top }) => ({
      items: ledger.top(top).map(({ account, reputation }) => ({ account, ...reputation }))
    }),
    reputation: ({ account }) => ({ account, ...ledger.reputation(account) }),
    verifyReceipt({ receipt: text }) {
      try {
        const { digest, root, ...receipt } = verifyReceipt(Buffer.from(text, 'base64'))
        const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
        return { valid: true, receipt: { ...receipt, digest: base64(digest), root: base64(root) } }
      } catch (error) {
        const { name, message } = error as Error
        if (name !== 'MalformedError') throw error
        return { valid: false, reason: message }
      }
    }
  }
}

export function balanceOf(ledger: Pick<Ledger, 'account' | 'balance' | 'supply'>): Balance {
  return { account: ledger.account, ...ledger.balance(), supply: ledger.supply() }
}
