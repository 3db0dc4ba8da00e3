import { CID } from 'multiformats/cid'
import type { BlockFiles } from './block-files.ts'
import { linksOf, MAX_DEPTH, readNode } from './dag-node.ts'
import { BlockMissingError, DagError } from './errors.ts'
import { MAX_BLOCKS } from './messages.ts'
import { costOf } from './quota.ts'
import type { Root, Store } from './store.ts'

export interface PullInit {
  root: Root
  /** Verified blocks by CID, each as it comes, from whoever has it; what nobody has is left out. */
  fetch(cids: CID[], signal: AbortSignal): AsyncIterable<{ cid: CID; bytes: Uint8Array }>
  /** what all blocks together may cost */
  maxCost: number
  /** bytes of the largest file that is taken */
  maxSize: number
  /** Called before each new block is written, when it counts already; throws when there is no room. */
  room(bytes: number): Promise<void>
  onBlock?(bytes: number): void
  signal: AbortSignal
}

interface Wanted {
  cid: CID
  depth: number
}

/**
 * Fetches all blocks of a root that are not here, in the order of its tree, and reads each one before it counts.
 * Begun again it goes on where it was. In memory are one window of blocks and the links of one branch.
 *
 * @throws {DagError} it is not what it must be, or goes beyond a limit
 * @throws {BlockMissingError} nobody has a block
 */
export async function pull(
  { store, files }: { store: Store; files: BlockFiles },
  { root, fetch, maxCost, maxSize, room, onBlock, signal }: PullInit
): Promise<Root['type']> {
  const pass = store.nextPass()
  const rootCid = CID.parse(root.cid)
  const stack: Wanted[] = [{ cid: rootCid, depth: 0 }]
  let type: Root['type'] = 'file'
  let cost = 0

  /** A block that is here: counted, and its links are wanted next. */
  function take({ cid, depth }: Wanted, bytes: Uint8Array): void {
    if (!store.note(root.id, cid, bytes.length, pass)) return
    cost += costOf(bytes.length)
    if (cost > maxCost) throw new DagError(`${root.cid} takes more than ${maxCost} bytes`)
    onBlock?.(bytes.length)
    const node = readNode(cid, bytes)
    if (depth === 0) type = node.type
    if (node.type === 'file' && node.size > maxSize)
      throw new DagError(`${cid} says that it is ${node.size} bytes; ${maxSize} are allowed`)
    const links = linksOf(node)
    if (links.length > 0 && depth === MAX_DEPTH)
      throw new DagError(`${root.cid} is deeper than ${MAX_DEPTH} blocks`)
    for (const link of links.reverse()) stack.push({ cid: link, depth: depth + 1 })
  }

  while (stack.length > 0) {
    signal.throwIfAborted()
    const missing = new Map<string, Wanted>()
    while (stack.length > 0 && missing.size < MAX_BLOCKS) {
      const wanted = stack.pop()!
      if (store.hasSeen(root.id, wanted.cid, pass)) continue
      const bytes = await find(files, wanted.cid)
      if (bytes != null) take(wanted, bytes)
      else missing.set(wanted.cid.toString(), wanted)
    }
    if (missing.size === 0) continue
    for await (const { cid, bytes } of fetch(
      [...missing.values()].map(wanted => wanted.cid),
      signal
    )) {
      const wanted = missing.get(cid.toString())
      if (wanted == null) continue
      missing.delete(cid.toString())
      // the row first: a file that no row knows would stay for ever
      take(wanted, bytes)
      await room(costOf(bytes.length))
      await files.put(cid, bytes)
    }
    if (missing.size > 0)
      throw new BlockMissingError(`nobody who answers has block ${[...missing.keys()][0]}`)
  }
  return type
}

async function find(files: BlockFiles, cid: CID): Promise<Uint8Array | undefined> {
  try {
    return await files.get(cid)
  } catch (error) {
    if (error instanceof BlockMissingError) return undefined
    throw error
  }
}
