import type { IsSigned, Log } from '../context.ts'
import { EntryError } from '../errors.ts'
import { verifyBatch } from '../log/batch.ts'
import { decodeEntry, type Entry, MOVED } from '../log/entry.ts'
import type { Peers } from '../messages.ts'
import { pause } from '../time/pause.ts'

/** A device waits for this before it is heard: a board that was just started reaches its witnesses a moment later. */
const WAIT_MS = 20_000
const AGAIN_MS = 500

export interface BeforeInit {
  /** boards in whose place this one stands */
  boards: readonly string[]
  witnesses: readonly string[]
  peers: Pick<Peers, 'ask'>
  isSigned: IsSigned
  log: Log
}

/**
 * The newest entry of a kind that one of these boards wrote about a device, as far as witnesses have it: signed by the
 * board, so none of them can make one up. Undefined where there is none, or nobody answers.
 */
export async function entryBefore(
  { boards, witnesses, peers, isSigned, log }: BeforeInit,
  device: string,
  kind: string,
  signal: AbortSignal
): Promise<Entry | undefined> {
  if (boards.length === 0) return undefined
  const patience = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)])

  /** null: it does not say. */
  async function ask(witness: string, agent: string): Promise<Entry | null | undefined> {
    try {
      const { number, batch } = await peers.ask(
        witness,
        'latest',
        { agent, device, kind },
        { signal: patience }
      )
      if (batch == null) return undefined
      const [first] = verifyBatch({ agent, number }, undefined, batch, isSigned).entries
      const carried = first!.kind === MOVED ? first!.body.entry : undefined
      const entry = carried instanceof Uint8Array ? decodeEntry(carried) : first!
      if (entry.device !== device || entry.kind !== kind) throw new EntryError('it gave another entry')
      return { ...entry, chain: first!.chain, seq: first!.seq }
    } catch (error) {
      signal.throwIfAborted()
      log('%s does not say what %s wrote of %s: %s', witness, agent, device, (error as Error).message)
      return null
    }
  }

  for (const agent of boards)
    for (let isSaid = false; !isSaid && !patience.aborted; ) {
      const found = await Promise.all(witnesses.map(witness => ask(witness, agent)))
      // one of them may lack the newest
      const [newest] = found
        .filter(each => each != null)
        .sort((a, b) => b.chain.number - a.chain.number || b.seq - a.seq)
      if (newest != null) return newest
      isSaid = found.includes(undefined)
      if (!isSaid) await pause(AGAIN_MS, patience)
    }
  return undefined
}
