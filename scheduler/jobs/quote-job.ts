import type { Logger } from '@libp2p/interface'
import { encodeValue, type Sandbox } from '../../sandbox/index.ts'
import { type Quote, quoteOf } from '../market/price.ts'
import type { Exchange } from '../market/workers-on-offer.ts'
import type { OfferMessage } from '../protocol/compute-messages.ts'
import type { Store } from '../store/job-store.ts'
import type { BlockExchange } from '../streams/block-exchange.ts'
import { createWork } from '../tasks/job-parts.ts'
import { parseSpec } from '../tasks/parse-spec.ts'
import { expectedCost } from '../trust/credibility.ts'
import { calibrate, estimate } from './estimate.ts'
import type { Bounds } from './reserve-bound.ts'
import type { DataAccess } from './resolve-data.ts'
import type { Runs } from './running-jobs.ts'

export interface QuotesComponents {
  /** this node */
  requester: string
  store: Pick<Store, 'trusts'>
  sandbox: Sandbox
  blocks: Pick<BlockExchange, 'get'>
  data: Pick<DataAccess, 'resolve'>
  exchange: Pick<Exchange, 'factors'>
  bounds: Pick<Bounds, 'boundOf'>
  /** what linked workers said last */
  offers: ReadonlyMap<string, OfferMessage>
  runs: Pick<Runs, 'runHere' | 'coordinator'>
  log: Logger
}

/** Gives what says what a job will probably cost, and what at most. */
export function createQuotes({ signal: stopping }: { signal: AbortSignal }, components: QuotesComponents) {
  const { requester, store, sandbox, blocks, data, exchange, bounds, offers, runs, log } = components

  return async (input: unknown, options?: { signal?: AbortSignal }): Promise<Quote> => {
    const { spec, bytes, stored } = await data.resolve(input, parseSpec, options)
    const signal = AbortSignal.any([stopping, ...(options?.signal ? [options.signal] : [])])
    const specBytes = encodeValue(stored).length + bytes
    const work = createWork(spec, specBytes)
    const parts = (await work.next(undefined, runs.runHere())).map(([, part]) => part)
    const { items, ...estimated } = await estimate(work, parts, {
      measured: program => runs.coordinator.rate(program),
      calibrate: async part => {
        try {
          return await calibrate(part, sandbox, {
            requester,
            block: digest => blocks.get(requester, digest, { signal }),
            signal
          })
        } catch (err) {
          signal.throwIfAborted()
          log('no calibration: %s', (err as Error).message)
        }
      }
    })
    // what is known of the linked workers in tasks of this kind
    const trusts = store
      .trusts()
      .filter(([key]) => key.endsWith(` ${spec.type}`) && offers.has(key.slice(0, key.indexOf(' '))))
      .map(([, trust]) => trust)
    return quoteOf({
      ...estimated,
      memoryMb: parts[0]?.load.memoryMb ?? 0,
      priority: spec.priority,
      factors: { ...exchange.factors(spec), verification: expectedCost(spec.verify, trusts, { items }) },
      bound: await bounds.boundOf(spec, specBytes, work)
    })
  }
}
