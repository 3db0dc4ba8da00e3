/** A ledger node as a process of its own, told what to do over the channel to its parent. */

import { decode, encode } from '@ipld/dag-cbor'
import { defaultLogger } from '@libp2p/logger'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { createLedger, createSigner, type LedgerNetwork } from '../../ledger/index.ts'
import { VOTE_DOMAIN } from '../../ledger/segment.ts'
import { keyFrom } from './helpers.ts'
import { startHelia } from './nodes.ts'

/** A bad witness is silent, forges, votes for another order and repeats old votes, in turn. */
export type Behaviour = 'honest' | 'bad'

export interface ProcessInit {
  network: Omit<LedgerNetwork, 'grantMicro'> & { grantMicro: string }
  key: string
  directory: string
  connectTo: string[]
  behaviour: Behaviour
}

const init: ProcessInit = JSON.parse(process.argv[2]!)
const network: LedgerNetwork = { ...init.network, grantMicro: BigInt(init.network.grantMicro) }
const privateKey = keyFrom(init.key)
const { helia, libp2p } = await startHelia(privateKey)
const tell = (message: unknown): void => void process.send?.(message)
// without the parent there is nobody to end this process
process.on('disconnect', () => process.exit(1))

if (init.behaviour === 'honest') {
  const ledger = createLedger(
    { network, directory: init.directory, privateKey },
    { libp2p: libp2p as any, ipfs: helia, logger: defaultLogger() }
  )
  await ledger.start()
  process.on('message', async (message: { id: number; method: string; args: unknown[] }) => {
    try {
      tell({ id: message.id, value: await call(message.method, message.args) })
    } catch (error) {
      tell({ id: message.id, error: (error as Error).name })
    }
  })
  const call = async (method: string, args: any[]): Promise<unknown> => {
    switch (method) {
      case 'claimGrant':
        return ledger.claimGrant()
      case 'transfer':
        return ledger.transfer(args[0], BigInt(args[1]))
      case 'escrow':
        await ledger.escrow(args[0], BigInt(args[1]))
        return undefined
      case 'settle':
        return ledger.settle(
          args[0],
          args[1].map((p: any) => ({ ...p, amount: BigInt(p.amount) }))
        )
      case 'open':
        return ledger.openEscrows().map(({ job }) => job)
      case 'book':
        return [...ledger.balances()]
          .map(([account, { available, reserved }]) => `${account} ${available} ${reserved}`)
          .sort()
      case 'total':
        return String(ledger.supply().total)
      case 'stop':
        await ledger.stop()
        await helia.stop()
        return undefined
      default:
        throw new Error(method)
    }
  }
} else {
  const signer = createSigner(privateKey)
  const replay = signer.sign(VOTE_DOMAIN, new Uint8Array(32))
  let turn = 0
  await libp2p.handle(`/artel/${network.id}/ledger/1`, async stream => {
    const lp = lpStream(stream)
    for (;;) {
      const [id, method] = decode((await lp.read()).subarray()) as [number, string]
      const forged = crypto.getRandomValues(new Uint8Array(64))
      const other = signer.sign(VOTE_DOMAIN, forged.subarray(32))
      const answers: Record<string, unknown> = {
        vote: [undefined, [forged], [replay], [other], ['conflict', 0], ['behind', 2 ** 40]][turn++ % 6],
        chain: [0, [], null],
        sync: [0, [[3, forged]]],
        checkpoint: [2 ** 30, 100, new Uint8Array(32), encode([[3, forged]]), forged],
        propose: [forged]
      }
      if (answers[method] != null) await lp.write(encode([id, answers[method]]))
    }
  })
}
for (const address of init.connectTo) await libp2p.dial(multiaddr(address))
tell({ ready: libp2p.getMultiaddrs().map(String), account: libp2p.peerId.toString() })
