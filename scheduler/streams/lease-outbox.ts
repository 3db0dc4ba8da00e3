import { inputBytes } from '../data/pieced-input.ts'
import type { LeasedSlice, LoadMessage } from '../protocol/compute-messages.ts'
import { MAX_SLICES_PER_MESSAGE } from '../protocol/limits.ts'
import type { Link } from './worker-links.ts'

// A message with leases: a quarter of the largest frame.
const LEASE_BYTES = 16 * 1024 * 1024

/** Collects what one step of the coordinator decides, and sends it in one message per worker and kind. */
export function createOutbox(linkOf: (worker: string) => Link | undefined) {
  const posts = new Map<string, { leases: LeasedSlice[]; programs: LoadMessage[]; revoked: number[] }>()

  function post(worker: string) {
    const known = posts.get(worker) ?? { leases: [], programs: [], revoked: [] }
    posts.set(worker, known)
    return known
  }

  return {
    lease(worker: string, { load }: { load: LoadMessage }, slice: LeasedSlice): void {
      const { leases, programs } = post(worker)
      leases.push(slice)
      programs.push(load)
    },

    revoke(worker: string, slice: number): void {
      post(worker).revoked.push(slice)
    },

    flush(): void {
      for (const [worker, { leases, programs, revoked }] of posts) {
        const link = linkOf(worker)
        if (link == null) continue
        if (revoked.length > 0) link.send({ t: 'revoke', slices: revoked })
        let from = 0
        const lease = (to: number): void => {
          for (const slices of inMessages(leases.slice(from, to))) link.send({ t: 'lease', slices })
          from = to
        }
        // the slices of a program come before the next one, which may take its memory where nothing waits for it
        for (const [at, load] of programs.entries()) {
          if (link.loaded(load.program)) continue
          lease(at)
          link.load(load)
        }
        lease(leases.length)
      }
      posts.clear()
    }
  }
}

export type Outbox = ReturnType<typeof createOutbox>

/** Leases in messages that stay well below the largest frame; one slice alone may be larger. */
function* inMessages(leases: LeasedSlice[]): Generator<LeasedSlice[]> {
  let message: LeasedSlice[] = []
  let bytes = 0
  for (const lease of leases) {
    const size = lease.inputs.reduce((sum, input) => sum + inputBytes(input), 0)
    if (message.length === MAX_SLICES_PER_MESSAGE || (message.length > 0 && bytes + size > LEASE_BYTES)) {
      yield message
      message = []
      bytes = 0
    }
    message.push(lease)
    bytes += size
  }
  if (message.length > 0) yield message
}
