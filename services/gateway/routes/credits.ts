import { z } from 'zod'
import { verifyReceipt } from '../../../ledger/index.ts'
import { type App, type Context, problems } from '../app.ts'
import { balanceOf } from '../events.ts'
import { plain } from '../plain.ts'
import {
  balance,
  history,
  historyQuery,
  receiptBody,
  receiptCheck,
  reputation,
  reputationQuery,
  reputations,
  transferBody
} from '../schema.ts'

const read = { scope: 'read' } as const

export function creditRoutes(app: App, { ledger }: Context): void {
  app.route({
    method: 'GET',
    url: '/credits/balance',
    config: read,
    schema: {
      operationId: 'balance',
      summary: 'The own account, and the supply of the network',
      tags: ['credits'],
      response: { 200: balance, ...problems }
    },
    handler: async () => balanceOf(ledger)
  })

  app.route({
    method: 'GET',
    url: '/credits/history',
    config: read,
    schema: {
      operationId: 'history',
      summary: 'Certified orders of and for the own account, newest first',
      tags: ['credits'],
      querystring: historyQuery,
      response: { 200: history, ...problems }
    },
    handler: async ({ query }) => ({ items: ledger.history({ limit: query.limit }).map(plain) })
  })

  app.route({
    method: 'POST',
    url: '/credits/transfer',
    config: { scope: 'credits' },
    schema: {
      operationId: 'transfer',
      summary: 'Give credits to another account; answers the new balance once the witnesses certified it',
      tags: ['credits'],
      body: transferBody,
      response: { 200: balance, ...problems }
    },
    handler: async ({ body: { to, amount, memo }, deadline: signal }) => {
      await ledger.transfer(to, BigInt(amount), { memo, signal })
      return balanceOf(ledger)
    }
  })

  app.route({
    method: 'GET',
    url: '/reputation',
    config: read,
    schema: {
      operationId: 'top',
      summary: 'The accounts with the best standing',
      tags: ['credits'],
      querystring: reputationQuery,
      response: { 200: reputations, ...problems }
    },
    handler: async ({ query }) => ({
      items: ledger.top(query.top).map(({ account, reputation }) => ({ account, ...reputation }))
    })
  })

  app.route({
    method: 'GET',
    url: '/reputation/:account',
    config: read,
    schema: {
      operationId: 'reputation',
      summary: 'Standing of one account, part by part',
      tags: ['credits'],
      params: z.object({ account: z.string().min(1).max(128) }),
      response: { 200: reputation, ...problems }
    },
    handler: async ({ params: { account } }) => ({ account, ...ledger.reputation(account) })
  })

  app.route({
    method: 'POST',
    url: '/receipts/verify',
    config: read,
    schema: {
      operationId: 'verifyReceipt',
      summary: 'Check a receipt with nothing but its bytes',
      tags: ['credits'],
      body: receiptBody,
      response: { 200: receiptCheck, ...problems }
    },
    handler: async ({ body }) => {
      try {
        const { digest, root, amount, ...rest } = verifyReceipt(Buffer.from(body.receipt, 'base64'))
        const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
        const receipt = { ...rest, amount: amount.toString(), digest: base64(digest), root: base64(root) }
        return { valid: true, receipt }
      } catch (err) {
        if ((err as Error).name !== 'MalformedError') throw err
        return { valid: false, reason: (err as Error).message }
      }
    }
  })
}
