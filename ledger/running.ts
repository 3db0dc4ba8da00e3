import { randomInt } from 'node:crypto'
import type { ComponentLogger, Libp2p, PrivateKey } from '@libp2p/interface'
import { type Book, createBook } from './book.ts'
import { answerToTuple, createCertifier, tell } from './certifier.ts'
import { createChannel } from './channel.ts'
import { bytesOf, integer, list, text } from './codec.ts'
import { AccountFrozenError, LedgerStoppedError, MalformedError } from './errors.ts'
import { keyOf, type Signer } from './keys.ts'
import { createLogs } from './log.ts'
import { type LedgerNetwork, protocolOf, quorumOf, topicOf } from './network.ts'
import type { Body } from './order.ts'
import { createOwnChain, type OwnChain } from './own-chain.ts'
import { createReplica, type Item, SEGMENT_ITEM } from './replica.ts'
import { decodeSegment, isCertified, isSigned, lastSeq, MAX_SEGMENT_BYTES } from './segment.ts'
import { openStore, type Store } from './store.ts'
import { every, pause, within } from './time.ts'
import { createWitness } from './witness.ts'

/** Peers are compared with one at a time this often; gossip and connecting do it sooner. */
const ANTI_ENTROPY_MS = 30_000
/** How often a witness writes what was certified to its log: entries of OrbitDB are dear, items are not. */
const APPEND_INTERVAL_MS = 25
/** A witness waits this long per rank for those before it to write an item, so that it is written once. */
const APPEND_RANK_DELAY_MS = 2_000
/** Bytes of items in one entry, unless a single item is larger. */
const MAX_BATCH_BYTES = 192 * 1024
const MAX_BATCH_ITEMS = 1_024
/** Certified runs in one answer. */
const CHAIN_LIMIT = 3
/** What was certified and is not in a log after this long is brought to the witnesses again. */
const TELL_AGAIN_MS = 5_000
const RECOVER_TIMEOUT_MS = 5_000
const RECOVER_RETRY_MS = 200
const EPOCH = 0

export interface LedgerInit {
  network: LedgerNetwork
  /** a folder of the ledger's own; created when missing */
  directory: string
  /** the key of the account, Ed25519; with libp2p's key the account is the peer id */
  privateKey: PrivateKey
}

export interface LedgerComponents {
  libp2p: Pick<
    Libp2p<{ pubsub: LedgerPubSub }>,
    | 'peerId'
    | 'services'
    | 'handle'
    | 'unhandle'
    | 'dialProtocol'
    | 'getConnections'
    | 'getPeers'
    | 'register'
    | 'unregister'
  >
  /** Helia, for OrbitDB: `libp2p`, `blockstore`, `pins` */
  ipfs: unknown
  logger: ComponentLogger
}

/** What we use of gossipsub. */
export interface LedgerPubSub {
  topicValidators: Map<string, (peer: { toString(): string }, message: { data: Uint8Array }) => unknown>
  subscribe(topic: string): void
  unsubscribe(topic: string): void
  publish(topic: string, data: Uint8Array): Promise<unknown>
}

/** A ledger that is started. */
export interface Running {
  readonly store: Store
  readonly book: Book
  readonly own: OwnChain
  /** Waits until it is safe to sign: a new data folder must first learn what this key has signed before. */
  ready(signal?: AbortSignal): Promise<void>
  issue(body: Body): number
  stop(): Promise<void>
}

/** Puts the parts together and starts them. */
export async function run(
  { network, directory }: LedgerInit,
  { libp2p, ipfs, logger }: LedgerComponents,
  signer: Signer,
  onChange: () => void
): Promise<Running> {
  const log = logger.forComponent('artel:ledger')
  const { account } = signer
  const { pubsub } = libp2p.services
  const topic = topicOf(network)
  const witnessIndex = network.witnesses.indexOf(account)
  const ended = new AbortController()

  const store = openStore(directory)
  const book = createBook(network)
  for (const { bytes } of store.segments()) book.add(decodeSegment(bytes, network))
  const own = createOwnChain({ network, signer, store, book })

  let isChanging = false
  const changed = (): void => {
    if (isChanging) return
    isChanging = true
    setImmediate(() => {
      isChanging = false
      if (!ended.signal.aborted) onChange()
    })
  }

  /** Takes a certified segment from anywhere. @throws {MalformedError} */
  const ingest = (bytes: Uint8Array, isLogged: boolean): void => {
    const segment = decodeSegment(bytes, network)
    const last = lastSeq(segment)
    if (book.account(segment.account).seq > last) {
      if (isLogged) store.setLogged(segment.account, last)
      return
    }
    if (!isSigned(segment) || !isCertified(segment, network))
      throw new MalformedError(`a segment of ${segment.account} up to ${last} has no valid certificate`)
    const row = { account: segment.account, first: segment.seq, last, bytes, added: Date.now() }
    if (!store.putSegment(row, isLogged)) {
      if (isLogged) store.setLogged(segment.account, last)
      return
    }
    if (!book.add(segment)) return
    if (witnessIndex >= 0) store.dropVotes(segment.account, book.account(segment.account).seq)
    if (segment.account === account) own.settle()
    changed()
  }

  const ingestItems = (items: Item[], isLogged: boolean): void => {
    store.batch(() => {
      for (const [kind, bytes] of items) {
        if (kind !== SEGMENT_ITEM) continue
        try {
          ingest(bytes, isLogged)
        } catch (error) {
          // a bad witness may write anything to its log; what is not valid does not count
          if (!(error instanceof MalformedError)) throw error
          log('%s', error.message)
        }
      }
    })
  }

  const witness =
    witnessIndex < 0
      ? undefined
      : createWitness({
          network,
          signer,
          store,
          book,
          onConflict: (_, segment) =>
            log.error('account %s signed two orders with one number', segment.account)
        })

  const segmentsIn = (value: unknown): Uint8Array[] =>
    list(value, 'segments', 0, CHAIN_LIMIT).map(item => bytesOf(item, 'segment', 1, MAX_SEGMENT_BYTES))

  const ingestAll = (segments: Uint8Array[]): void =>
    ingestItems(
      segments.map(bytes => [SEGMENT_ITEM, bytes]),
      false
    )

  const serve = async (peer: string, method: string, body: unknown): Promise<unknown> => {
    switch (method) {
      case 'vote': {
        const tuple = list(body, 'a request', 2)
        ingestAll(segmentsIn(tuple[0]))
        const segment = decodeSegment(bytesOf(tuple[1], 'segment', 1, MAX_SEGMENT_BYTES), network)
        if (!isSigned(segment)) throw new MalformedError(`a run of ${segment.account} is not signed by it`)
        if (witness == null) throw new MalformedError('this node is not a witness')
        return answerToTuple(await witness.vote(segment))
      }
      case 'certified':
        ingestAll(segmentsIn(body))
        return []
      case 'chain': {
        const [of, from] = list(body, 'a request', 2)
        return store.segmentsOf(
          text(of, 'account', 64),
          integer(from, 'seq', 0, Number.MAX_SAFE_INTEGER),
          CHAIN_LIMIT
        )
      }
      case 'sync':
        return replica.serveSync(peer, body)
      default:
        throw new MalformedError(`unknown method ${method}`)
    }
  }

  const channel = createChannel({ libp2p, protocol: protocolOf(network), log, serve })
  const logs = await createLogs({ ipfs, directory, network, signer, store })
  const replica = createReplica({
    epoch: EPOCH,
    logs: await logs.open(EPOCH),
    log,
    request: channel.request,
    publish: async message => void (await pubsub.publish(topic, message)),
    ingest: items => ingestItems(items, true)
  })

  let frozen: Error | undefined
  const certifier = createCertifier({
    network,
    log,
    request: channel.request,
    next: () => (frozen == null ? own.takePending() : undefined),
    hasNext: () => frozen == null && own.hasPending(),
    position: () => book.account(account).seq,
    onCertified: bytes => store.batch(() => ingest(bytes, false)),
    onRefused: refusal => {
      frozen = new AccountFrozenError(account, `the witnesses answer "${refusal}"`)
      own.giveUp(frozen)
    },
    since: seq => store.segmentsOf(account, seq, CHAIN_LIMIT),
    adopt: ingestAll
  })

  /** Certified runs that no log has yet: a witness writes them to its own, others remind the witnesses. */
  const appendDue = async (): Promise<void> => {
    const now = Date.now()
    const items: Item[] = []
    let size = 0
    for (const row of store.unlogged(MAX_BATCH_ITEMS)) {
      const first = keyOf(row.account).at(-1)! % network.witnesses.length
      const rank = (witnessIndex - first + network.witnesses.length) % network.witnesses.length
      if (now - row.added < rank * APPEND_RANK_DELAY_MS) continue
      if (size > 0 && size + row.bytes.length > MAX_BATCH_BYTES) break
      items.push([SEGMENT_ITEM, row.bytes])
      size += row.bytes.length
    }
    if (items.length === 0) return
    await replica.append(witnessIndex, items)
    ingestItems(items, true)
  }

  const remind = (): void => {
    if (witnessIndex >= 0) return
    const old = store.unlogged(CHAIN_LIMIT).filter(({ added }) => Date.now() - added > TELL_AGAIN_MS)
    if (old.length > 0)
      tell(
        network,
        channel.request,
        log,
        old.map(({ bytes }) => bytes)
      )
  }

  const antiEntropy = async (): Promise<void> => {
    remind()
    const peers = libp2p.getPeers()
    if (peers.length > 0) await replica.sync(peers[randomInt(peers.length)]!.toString())
  }

  /** Learns from a quorum of witnesses what this key has signed in an earlier life of the data folder. */
  const recover = async (): Promise<void> => {
    const asked = new Set<string>()
    while (asked.size < quorumOf(network)) {
      ended.signal.throwIfAborted()
      await Promise.all(
        network.witnesses.map(async id => {
          if (asked.has(id)) return
          try {
            for (let from = -1; from !== book.account(account).seq; ) {
              from = book.account(account).seq
              const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(RECOVER_TIMEOUT_MS)])
              ingestAll(segmentsIn(await channel.request(id, 'chain', [account, from], { signal })))
            }
            asked.add(id)
          } catch (error) {
            log('witness %s does not tell our orders: %s', id, (error as Error).message)
          }
        })
      )
      if (asked.size < quorumOf(network)) await pause(RECOVER_RETRY_MS, ended.signal)
    }
    store.batch(() => {
      for (const [job, bound] of book.account(account).escrows) store.putJob(job, bound, 0)
      store.setMeta('recovered', 1)
    })
  }

  const background = (work: Promise<void>): void => {
    work.catch(error => {
      if (!ended.signal.aborted) log.error('%s', (error as Error).stack)
    })
  }

  await channel.start()
  const topology = await libp2p.register(protocolOf(network), {
    onConnect: peer => {
      certifier.kick()
      background(replica.sync(peer.toString()))
    }
  })
  pubsub.topicValidators.set(topic, async (peer, message) => replica.onGossip(peer.toString(), message.data))
  pubsub.subscribe(topic)

  const recovered = store.getMeta('recovered') === 1 ? Promise.resolve() : recover()
  recovered.catch(() => undefined) // told to whoever waits in ready()
  background(certifier.run(ended.signal))
  background(every(ANTI_ENTROPY_MS, ended.signal, antiEntropy))
  if (witnessIndex >= 0) background(every(APPEND_INTERVAL_MS, ended.signal, appendDue))

  return {
    store,
    book,
    own,
    ready: async signal => {
      if (frozen != null) throw frozen
      if (store.getMeta('recovered') !== 1) await within(recovered, signal)
    },
    issue: body => {
      const seq = own.issue(body)
      certifier.kick()
      return seq
    },
    stop: async () => {
      ended.abort(new LedgerStoppedError())
      pubsub.unsubscribe(topic)
      pubsub.topicValidators.delete(topic)
      libp2p.unregister(topology)
      await channel.stop()
      own.giveUp(new LedgerStoppedError())
      await replica.idle()
      await logs.stop()
      store.close()
    }
  }
}
