import type { BlockFiles } from './block-files.ts'
import { DiskFullError, QuotaError } from './errors.ts'
import { RESERVE_BYTES } from './quota.ts'
import type { Store } from './store.ts'

/** Asked of the disk this often: what comes in between is far less than the reserve. */
const CHECK_EVERY_BYTES = 16 << 20

/**
 * Makes room for blocks: lets go of what was fetched once and nobody wants, the one that was not used for the longest
 * first. For the owner's own there is a quota besides; what is held for others was granted before.
 */
export function createRoom({
  store,
  files,
  quotaBytes
}: {
  store: Store
  files: Pick<BlockFiles, 'free'>
  quotaBytes(): number
}) {
  let unchecked = Number.POSITIVE_INFINITY

  async function evict(): Promise<boolean> {
    const [oldest] = store.evictable()
    if (oldest == null) return false
    await store.sweep(oldest.id)
    return true
  }

  /** Throws DiskFullError. */
  async function onDisk(bytes: number): Promise<void> {
    unchecked += bytes
    if (unchecked < CHECK_EVERY_BYTES) return
    while ((await files.free()) < RESERVE_BYTES + bytes)
      if (!(await evict()))
        throw new DiskFullError(
          `the disk has less than ${RESERVE_BYTES} bytes left, which the node keeps for itself; make room, then do the same again`
        )
    unchecked = 0
  }

  return {
    onDisk,

    /** `bytes` are counted already. Throws QuotaError, DiskFullError. */
    async forOwn(bytes: number): Promise<void> {
      while (store.ownCost() > quotaBytes())
        if (!(await evict()))
          throw new QuotaError(
            `the files of this node take ${store.ownCost()} of ${quotaBytes()} bytes; unpin some, or raise files.quotaMb`
          )
      await onDisk(bytes)
    }
  }
}

export type Room = ReturnType<typeof createRoom>
