import { UnreachableError } from '../../host/index.ts'
import type { Network } from '../school/network.ts'
import type { Mailbox } from './serve.ts'

/** A way to a mailbox that stays open from one put to the next. */
export interface Line extends AsyncDisposable {
  /** @throws {PeerError} {UnreachableError} and this line is of no more use */
  put(envelopes: readonly Uint8Array[]): Promise<'kept' | 'full'>
}

/** @param school its id */
export function openLine(
  peer: string,
  school: Uint8Array,
  network: Network,
  mailbox: Mailbox,
  signal: AbortSignal
): Line {
  if (peer === network.self) return { put: mailbox.put, [Symbol.asyncDispose]: async () => undefined }
  const { items, send, end } = network.open(peer, 'put', { school }, { signal })
  const answers = items[Symbol.asyncIterator]()
  return {
    async put(envelopes) {
      await send([...envelopes])
      const { done, value } = await answers.next()
      if (done === true) throw new UnreachableError(`${peer} takes no more`)
      return value
    },
    async [Symbol.asyncDispose]() {
      try {
        await end()
        await answers.next()
      } catch {
        // it is gone already
      }
    }
  }
}
