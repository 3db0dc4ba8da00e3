/*
 * What this node calculated as a worker and others will fetch: blocks in memory, bounded in bytes and time. Whoever
 * comes too late has it calculated again.
 */

// Beside the sandboxes' own memory; the groups of some dozens of large slices.
const MAX_BYTES = 256 * 1024 * 1024
// Longer than a reduction waits for the last of its slices.
const MAX_AGE_MS = 30 * 60_000

/** Blocks by their SHA-256; the oldest go first. `now`: ms. */
export function createKeptBlocks({
  maxBytes = MAX_BYTES,
  maxAgeMs = MAX_AGE_MS,
  now = Date.now
}: {
  maxBytes?: number
  maxAgeMs?: number
  now?: () => number
} = {}) {
  const kept = new Map<string, { block: Uint8Array; at: number }>()
  let bytes = 0

  function remove(name: string): void {
    bytes -= kept.get(name)?.block.length ?? 0
    kept.delete(name)
  }

  /** Lets go of what is too old. */
  function expire(): void {
    for (const [name, { at }] of kept) {
      if (now() - at < maxAgeMs) return
      remove(name)
    }
  }

  return {
    expire,

    put(digest: Uint8Array, block: Uint8Array): void {
      const name = nameOf(digest)
      remove(name)
      kept.set(name, { block, at: now() })
      bytes += block.length
      for (const oldest of kept.keys()) {
        if (bytes <= maxBytes) return
        remove(oldest)
      }
    },

    get(digest: Uint8Array): Uint8Array | undefined {
      expire()
      return kept.get(nameOf(digest))?.block
    }
  }
}

export type KeptBlocks = ReturnType<typeof createKeptBlocks>

const nameOf = (digest: Uint8Array): string => Buffer.from(digest).toString('base64url')
