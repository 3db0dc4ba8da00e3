/** A ledger node as a process of its own, told what to do over the channel to its parent. */

import module from 'node:module'
import { decode, encode } from '@ipld/dag-cbor'
import { defaultLogger } from '@libp2p/logger'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { createSigner, type LedgerNetwork, type Payment } from '../../ledger/index.ts'
import { createLedger } from '../../ledger/ledger.ts'
import { decodeSegment, tipOf, VOTE_DOMAIN } from '../../ledger/records/segment.ts'
import { keyFrom } from './helpers.ts'
import { ask, startPeer } from './nodes.ts'

/**
 * `bad` is a witness that is silent, forges, votes for another order and repeats old votes, in turn; or, when told,
 * signs everything. A `stranger` is no node at all and only asks.
 */
export type Behaviour = 'honest' | 'bad' | 'stranger'

export interface ProcessInit {
  network: Omit<LedgerNetwork, 'grantMicro'> & { grantMicro: string }
  key: string
  directory: string
  connectTo: string[]
  behaviour: Behaviour
  /** where to listen; default: loopback */
  host?: string
}

const init: ProcessInit = JSON.parse(process.argv[2]!)
const network: LedgerNetwork = { ...init.network, grantMicro: BigInt(init.network.grantMicro) }
const privateKey = keyFrom(init.key)
const cut = { isCut: false }
const { ipfs, libp2p } = await startPeer(privateKey, {
  host: init.host,
  connectionGater: { denyDialMultiaddr: () => cut.isCut, denyInboundConnection: () => cut.isCut }
})
const tell = (message: unknown): void => void process.send?.(message)
// without the parent there is nobody to end this process
process.on('disconnect', () => process.exit(1))

const methods = {
  honest: startLedger,
  bad: startBadWitness,
  stranger: async () => ({
    ask: (to: string, method: string, body: unknown) => ask(libp2p, network.id, to, method, body)
  })
} satisfies Record<Behaviour, () => Promise<Record<string, (...args: any[]) => unknown>>>

const call: Record<string, (...args: any[]) => unknown> = {
  ...(await methods[init.behaviour]()),
  connect: (address: string) => libp2p.dial(multiaddr(address)).then(() => undefined),
  cut: async (isCut: boolean) => {
    cut.isCut = isCut
    if (isCut) await Promise.all(libp2p.getPeers().map(peer => libp2p.hangUp(peer)))
  }
}
process.on('message', async (message: { id: number; method: string; args: unknown[] }) => {
  try {
    tell({ id: message.id, value: await call[message.method]!(...message.args) })
  } catch (error) {
    tell({ id: message.id, error: (error as Error).name })
  }
})
for (const address of init.connectTo) await libp2p.dial(multiaddr(address))
// a process that is killed writes no cache at its end
module.flushCompileCache()
tell({ ready: libp2p.getMultiaddrs().map(String), account: libp2p.peerId.toString() })

async function startLedger() {
  const ledger = createLedger({ network, directory: init.directory, privateKey })({
    libp2p: libp2p as any,
    ipfs,
    logger: defaultLogger()
  })
  await ledger.start()
  return {
    claimGrant: () => ledger.claimGrant(),
    transfer: (to: string, amount: string) => ledger.transfer(to, BigInt(amount)),
    escrow: (job: string, bound: string) => ledger.escrow(job, BigInt(bound)).then(() => undefined),
    settle: (
      job: string,
      payments: (Omit<Payment, 'amount'> & { amount: string })[],
      options?: { mayWait?: boolean }
    ) =>
      ledger.settle(
        job,
        payments.map(payment => ({ ...payment, amount: BigInt(payment.amount) })),
        options
      ),
    open: () => ledger.openEscrows().map(({ job }) => job),
    book: () =>
      [...ledger.balances()]
        .map(([account, { available, reserved }]) => `${account} ${available} ${reserved}`)
        .sort(),
    history: () =>
      ledger.history({ limit: Number.MAX_SAFE_INTEGER }).map(({ type, job }) => `${type} ${job ?? ''}`),
    total: () => String(ledger.supply().total),
    isFrozen: (account: string) => ledger.reputation(account).score === 0
  }
}

async function startBadWitness() {
  const signer = createSigner(privateKey)
  const replay = signer.sign(VOTE_DOMAIN, new Uint8Array(32))
  let signsAll = false
  let turn = 0
  await libp2p.handle(`/artel/${network.id}/ledger/1`, async stream => {
    const lp = lpStream(stream)
    for (;;) {
      const [id, method, body] = decode((await lp.read()).subarray()) as [number, string, any]
      const forged = crypto.getRandomValues(new Uint8Array(64))
      const other = signer.sign(VOTE_DOMAIN, forged.subarray(32))
      const badVotes = [undefined, [forged], [replay], [other], ['conflict', 0], ['behind', 2 ** 40]]
      const vote = (): unknown =>
        signsAll
          ? [signer.sign(VOTE_DOMAIN, tipOf(decodeSegment(body[1], network)))]
          : badVotes[turn++ % badVotes.length]
      const answer =
        method === 'vote'
          ? vote()
          : {
              speak: [],
              chain: [0, [], null],
              sync: [0, [[3, forged]]],
              checkpoint: [2 ** 30, 100, new Uint8Array(32), encode([[3, forged]]), forged],
              propose: [forged]
            }[method]
      if (answer != null) await lp.write(encode([id, answer]))
    }
  })
  return {
    signAll: () => {
      signsAll = true
    }
  }
}
