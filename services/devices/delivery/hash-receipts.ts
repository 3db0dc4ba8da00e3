import type { IsSigned } from '../context.ts'
import { ChainError } from '../errors.ts'
import { lastSeq } from '../log/batch.ts'
import type { ChainLog } from '../log/chain-log.ts'
import { hashOf } from '../log/entry.ts'
import type { Peers } from '../messages.ts'
import type { Agent } from './agent.ts'
import type { Heads } from './heads.ts'
import { isReceipt } from './receipt.ts'

/** It signs once an hour; a receipt of before costs little. */
const EVERY_MS = 10 * 60_000

export interface HashReceiptsInit {
  agent: Pick<Agent, 'flush' | 'log'>
  heads: Heads
  peers: Pick<Peers, 'ask'>
  isSigned: IsSigned
  witnesses(): readonly string[]
  /** why a witness has not signed, or that it has signed something else; undefined: it has */
  onState(witness: string, why: string | undefined): void
}

/** Has the own log signed by nodes that see nothing of it but the hash of its head. */
export function createHashReceipts({ agent, heads, peers, isSigned, witnesses, onState }: HashReceiptsInit) {
  /** when each was asked last, ms of the process, and why it has not signed */
  const asked = new Map<string, { at: number; why?: string }>()

  /** @throws {ChainError} what it has signed is not what is here */
  async function ask(witness: string, log: ChainLog, signal: AbortSignal): Promise<void> {
    const { chain, head } = log
    const last = await log.read(head.seq)
    if (last == null) throw new ChainError(head.seq, `entry ${head.seq} is damaged here`)
    const { number } = chain
    // it may go on behind the head by now
    const signed = { seq: lastSeq(last), hash: hashOf(last.entries.at(-1)!), signature: last.signature }
    const receipt = {
      ...(await peers.ask(witness, 'attest', { number, ...signed }, { signal })),
      witness
    }
    const { seq, hash } = receipt
    if (!isReceipt(chain, receipt, isSigned))
      throw new ChainError(seq, `${witness} gave a receipt that it, or this node, did not sign`)
    const ours = seq > log.head.seq ? undefined : await log.hashAt(seq)
    // what was let go here cannot be compared any more
    if (seq >= log.first && (ours == null || Buffer.compare(ours, hash) !== 0))
      throw new ChainError(
        seq,
        `${witness} has signed another entry ${seq} of chain ${number} than there is here: this log was set back, or altered`
      )
    heads.save(chain, receipt, 1)
  }

  return {
    /** Asks those again that have not answered, and the others now and then. */
    async round(signal: AbortSignal): Promise<void> {
      const all = witnesses()
      for (const peer of asked.keys())
        if (!all.includes(peer)) {
          asked.delete(peer)
          onState(peer, undefined)
        }
      const due = all.filter(peer => {
        const { at = Number.NEGATIVE_INFINITY, why } = asked.get(peer) ?? {}
        return why != null || performance.now() - at > EVERY_MS
      })
      if (due.length === 0) return
      // what comes back from those that keep the log is here by then
      await agent.flush()
      if (agent.log.head.seq < 0) return
      await Promise.all(
        due.map(async peer => {
          const why = await ask(peer, agent.log, signal).then(
            () => undefined,
            (error: Error) => error.message
          )
          signal.throwIfAborted()
          asked.set(peer, { at: performance.now(), ...(why == null ? {} : { why }) })
          onState(peer, why)
        })
      )
    },
    states: () => witnesses().map(peer => ({ peer, error: asked.get(peer)?.why, isHashOnly: true }))
  }
}
