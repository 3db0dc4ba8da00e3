import { randomInt } from 'node:crypto'
import type { GossipSub } from '@libp2p/gossipsub'
import type { ComponentLogger, Libp2p, PrivateKey } from '@libp2p/interface'
import { answerPeers } from './answer-peers.ts'
import { type Book, createBook } from './book/book.ts'
import { type Checkpoint, decodeCheckpoint, isWholeCheckpoint } from './book/checkpoint.ts'
import { createCertifier, tell } from './certify/certifier.ts'
import { createOwnChain, type OwnChain } from './certify/own-chain.ts'
import { createPatience } from './certify/patience.ts'
import { CHAIN_LIMIT, createRecovery } from './certify/recovery.ts'
import { createSpeakers } from './certify/speakers.ts'
import { createWitness } from './certify/witness.ts'
import { AccountFrozenError, KeyInUseError, LedgerFolderError, LedgerStoppedError } from './errors.ts'
import type { Signer } from './records/keys.ts'
import { type LedgerNetwork, protocolOf, quorumOf, topicOf } from './records/network.ts'
import type { Body } from './records/order.ts'
import type { AccountId } from './records/types.ts'
import { createChannel } from './replicate/channel.ts'
import { createEpochs } from './replicate/epochs.ts'
import { createIntake } from './replicate/intake.ts'
import { createLogs } from './replicate/log.ts'
import { createReplica, decodeItems, type Replica } from './replicate/replica.ts'
import { appendDue } from './replicate/witness-writer.ts'
import { type CheckpointRow, type Item, openStore, SEGMENT_ITEM, type Store } from './store/store.ts'
import { every, isOver, pause, within } from './time.ts'

/** Peers are compared with one at a time this often; gossip and connecting do it sooner. */
const ANTI_ENTROPY_MS = 30_000
/** A node that is the only witness asks nobody else before it signs: it waits this long for a peer to ask. */
const MEET_MS = 2_000
const MAX_DIALS = 8
const MEET_TIMEOUT_MS = 5_000
/** A second comparison with a new peer: for what was gossiped after the first and before its gossip gets here. */
const COMPARE_AGAIN_MS = 2_000
const SPREAD_MS = 250
/** How often a witness writes what was certified to its log: entries of OrbitDB are dear, items are not. */
const APPEND_INTERVAL_MS = 25
/** What was certified and is not in a log after this long is brought to the witnesses again. */
const TELL_AGAIN_MS = 5_000
/** How often a witness looks whether the day is over. */
const EPOCH_CHECK_MS = 1_000
/** Rest of the certifier after an error. */
const RESTART_MS = 1_000
/** A node that stops gives its last orders this long to be certified. */
const LAST_ORDERS_MS = 1_000

export interface LedgerInit {
  network: LedgerNetwork
  /** a folder of the ledger's own; created when missing */
  directory: string
  /** the key of the account, Ed25519; with libp2p's key the account is the peer id */
  privateKey: PrivateKey
  /** keep what checkpoints cover; default: only witnesses do */
  archive?: boolean
  /** ms since 1970 */
  now?: () => number
}

export interface LedgerComponents {
  libp2p: Pick<
    Libp2p<{ pubsub: LedgerPubSub }>,
    | 'peerId'
    | 'peerStore'
    | 'dial'
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
export type LedgerPubSub = Pick<GossipSub, 'topicValidators' | 'subscribe' | 'unsubscribe' | 'publish'>

type WithoutTime<T> = T extends unknown ? Omit<T, 'timeS'> : never
/** An order before it is stamped. */
export type NewBody = WithoutTime<Body>

/** A ledger that is started. */
export interface Running {
  readonly store: Store
  readonly book: Book
  readonly own: OwnChain
  /** Waits until it is safe to sign: a new data folder must first learn what this key has signed before. */
  ready(signal?: AbortSignal): Promise<void>
  /** `mayWait`: nobody waits for its certificate. */
  issue(body: NewBody, options?: { mayWait?: boolean }): number
  /** Brings everything that was signed to the witnesses. */
  hurry(): void
  /** Takes items and brings them to the witnesses. */
  submit(items: Item[]): void
  epoch(): number
  stop(): Promise<void>
}

/** Puts the parts together and starts them. */
export async function assembleLedger(
  init: LedgerInit,
  { libp2p, ipfs, logger }: LedgerComponents,
  signer: Signer,
  onChange: () => void,
  onHalt: (error: Error) => void
): Promise<Running> {
  const { network, directory, archive, now = Date.now } = init
  const log = logger.forComponent('artel:ledger')
  const { account } = signer
  const { pubsub } = libp2p.services
  const topic = topicOf(network)
  const witnessIndex = network.witnesses.indexOf(account)
  const isWitness = witnessIndex >= 0
  const keepsAll = archive ?? isWitness
  const ended = new AbortController()

  const store = openOwnStore(init, account)
  const book = createBook(network)
  const loadBook = (checkpoint: Checkpoint | undefined): boolean => {
    book.load(checkpoint)
    return intake.load()
  }

  let isChanging = false
  const changed = (): void => {
    if (isChanging) return
    isChanging = true
    setImmediate(() => {
      isChanging = false
      if (!ended.signal.aborted) onChange()
    })
  }

  /** Resolves when this node may act as a witness. */
  const met = Promise.withResolvers<void>()
  let refusal: Error | undefined
  const giveUp = (reason: string): void => {
    refusal = new AccountFrozenError(account, reason)
    own.giveUp(refusal)
  }
  /** Another process has the key: from now on nothing is signed here, no order, vote, log entry or checkpoint. */
  const halt = (error: Error): void => {
    if (ended.signal.aborted) return
    refusal = error
    own.giveUp(error)
    ended.abort(error)
    onHalt(error)
  }

  const intake = createIntake({ network, account, now })({
    store,
    book,
    log,
    onChange: changedAccount => {
      if (isWitness) store.dropVotes(changedAccount, book.account(changedAccount).seq)
      if (changedAccount === account) own.settle()
      changed()
    },
    onFrozen: frozenAccount => {
      if (frozenAccount === account) giveUp('a fork proof names it')
      changed()
    }
  })
  const last = lastCheckpoint(store, init, isWitness)
  const isWhole = loadBook(last && decodeCheckpoint(last.bytes, network))
  const own = createOwnChain({ network })({ signer, store, book })
  if (book.isFrozen(account)) giveUp('a fork proof names it')

  const takeSegments = (segments: Uint8Array[]): void =>
    intake.take(
      segments.map(bytes => [SEGMENT_ITEM, bytes]),
      false
    )

  const witness = isWitness
    ? createWitness({ network })({ signer, store, book, onConflict: intake.convict })
    : undefined

  const serve = answerPeers({
    network,
    store,
    intake,
    witness,
    mayVote: async () => {
      await met.promise
      if (refusal instanceof KeyInUseError) throw refusal
    },
    speakers: () => speakers,
    replica: () => replica,
    epochs: () => epochs
  })
  const channel = createChannel({ protocol: protocolOf(network) })({ libp2p, log, serve })
  const speakers = createSpeakers({ network, peer: libp2p.peerId.toString() })({
    signer,
    request: channel.request,
    requestOn: channel.requestOn,
    onOther: () =>
      log.error(
        'another process with the key of this node was started; it is told to stop, and signs nothing'
      )
  })
  const logs = await createLogs({ directory, network })({ ipfs, signer, store })

  const onError = (error: Error): void => {
    if (!ended.signal.aborted) log.error('%s', error.stack)
  }
  const background = (work: Promise<void>): void => void work.catch(onError)
  const later = (ms: number, work: () => void): void =>
    void pause(ms, ended.signal).then(() => {
      if (!ended.signal.aborted) work()
    })

  // Where a partition heals, one node learns of what the other side did, and nobody gossips about it again: it compares
  // with its own peers, which then ask back, and so on. Together, because gossip out of order also ends in a comparison.
  let isSpreading = false
  const spread = (source: string): void => {
    if (isSpreading) return
    isSpreading = true
    later(SPREAD_MS, () => {
      isSpreading = false
      for (const peer of libp2p.getPeers())
        if (peer.toString() !== source) background(replica.sync(peer.toString()))
    })
  }

  const openReplica = async (epoch: number): Promise<Replica> =>
    createReplica({ epoch })({
      logs: await logs.open(epoch),
      log,
      request: channel.request,
      publish: async message => void (await pubsub.publish(topic, message)),
      ingest: items => intake.take(items, replica.epoch === epoch),
      onLater: peer => background(epochs.fetch(peer)),
      onMissed: spread
    })
  let replica = await openReplica(last?.next ?? 0)
  // the logs hold what was certified a second time
  if (!isWhole)
    for (const written of replica.logs)
      for await (const payload of written.payloads(written.length())) intake.take(decodeItems(payload), true)

  /** Begins the epoch that a checkpoint opens; what it does not cover goes on into the new logs. */
  const adopt = async (row: CheckpointRow, checkpoint: Checkpoint): Promise<void> => {
    if (row.next <= replica.epoch || ended.signal.aborted) return
    const opened = await openReplica(row.next)
    const old = replica
    if (row.next <= old.epoch) return
    replica = opened
    store.batch(() => {
      store.putCheckpoint(row)
      intake.cover(checkpoint, keepsAll)
      if (!keepsAll) store.dropEpochsBefore(row.next)
      loadBook(checkpoint)
      own.settle()
    })
    changed()
    await old.idle()
    for (const closing of old.logs) await closing.close()
    for (const peer of libp2p.getPeers()) background(replica.sync(peer.toString()))
  }

  const epochs = createEpochs({ network, now })({
    signer,
    store,
    log,
    request: channel.request,
    replica: () => replica,
    adopt
  })

  const patience = createPatience({ signed: () => own.next, onDue: () => certifier.kick() })
  const isDue = (): boolean =>
    refusal == null && own.hasPending() && patience.isDue(book.account(account).seq)

  const certifier = createCertifier({ network })({
    log,
    request: channel.request,
    heard: (witness, signal) => recovery.heard(witness, signal),
    isCurrent: segment => refusal == null && own.isPending(segment),
    next: () => (isDue() ? own.takePending() : undefined),
    synced: store.synced,
    hasNext: isDue,
    onCertified: bytes => takeSegments([bytes]),
    onRefused: refusal => giveUp(`the witnesses answer "${refusal}"`),
    since: seq => store.segmentsOf(account, seq, CHAIN_LIMIT),
    adopt: takeSegments
  })

  const submit = (items: Item[]): void => {
    intake.take(items, false)
    tell(network, channel.request, log, items)
  }

  const antiEntropy = async (): Promise<void> => {
    const old = isWitness
      ? []
      : store.unlogged(CHAIN_LIMIT).filter(({ added }) => isOver(added, TELL_AGAIN_MS, now()))
    if (old.length > 0) submit(old.map(({ item }) => item))
    const peers = libp2p.getPeers()
    if (peers.length === 0) return
    const peer = peers[randomInt(peers.length)]!.toString()
    await meet(peer)
    await replica.sync(peer)
  }

  /** Open escrows of an earlier life of the folder. */
  const noteEscrows = (): void => {
    for (const [job, bound] of book.account(account).escrows) store.putJob(job, bound, 0)
  }
  const recovery = createRecovery({ network, account })({
    log,
    request: channel.request,
    introduce: speakers.introduce,
    position: () => book.account(account).seq,
    epoch: () => replica.epoch,
    fetchCheckpoint: epochs.fetch,
    take: takeSegments,
    adopt: run =>
      store.batch(() => {
        noteEscrows()
        own.adopt(run)
      })
  })
  let isRecovered = false
  const recover = async (): Promise<void> => {
    await meetSomebody()
    met.resolve()
    await recovery.run(ended.signal)
    store.batch(() => {
      noteEscrows()
      store.setMeta('recovered', 1)
    })
    isRecovered = true
    patience.hurry()
  }

  const firstMeeting = Promise.withResolvers<void>()
  const meet = async (peer: string): Promise<void> => {
    try {
      const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(MEET_TIMEOUT_MS)])
      if (network.witnesses.includes(peer)) await recovery.heard(peer, signal)
      else await speakers.introduce(peer, { signal })
      firstMeeting.resolve()
    } catch (error) {
      if (error instanceof KeyInUseError) halt(error)
      else log('%s was not told who speaks here: %s', peer, (error as Error).message)
    }
  }
  /** Whom a witness that need not ask others could ask all the same: the peers of an earlier life of the folder. */
  const meetSomebody = async (): Promise<void> => {
    if (!isWitness || quorumOf(network) > 1) return
    const known = (await libp2p.peerStore.all()).filter(({ addresses }) => addresses.length > 0)
    if (known.length === 0) return
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(MEET_MS)])
    for (const { id } of known.slice(0, MAX_DIALS))
      libp2p.dial(id, { signal }).catch(error => log('%s: %s', id, (error as Error).message))
    await Promise.race([firstMeeting.promise, pause(MEET_MS, ended.signal)])
  }

  await channel.start()
  const topology = await libp2p.register(protocolOf(network), {
    onConnect: peer => {
      background(meet(peer.toString()))
      certifier.retry()
      background(replica.sync(peer.toString()))
      later(COMPARE_AGAIN_MS, () => background(replica.sync(peer.toString())))
    },
    onDisconnect: peer => recovery.forget(peer.toString())
  })
  pubsub.topicValidators.set(topic, async (peer, message) => replica.onGossip(peer.toString(), message.data))
  pubsub.subscribe(topic)

  // also in a known folder, because it may be an old copy: nothing is sent before the witnesses told what they know
  const recovered = recover()
  recovered.catch(error => {
    // everything else is told to whoever waits in ready()
    if (error instanceof KeyInUseError) halt(error)
  })
  background(
    recovered.then(() => every(RESTART_MS, ended.signal, () => certifier.run(ended.signal), onError))
  )
  background(every(ANTI_ENTROPY_MS, ended.signal, antiEntropy, onError))
  if (isWitness) {
    const take = (items: Item[]): void => intake.take(items, true)
    const writer = { network, witness: witnessIndex, store, now, replica: () => replica, take }
    background(
      met.promise.then(() => every(APPEND_INTERVAL_MS, ended.signal, () => appendDue(writer), onError))
    )
    background(every(EPOCH_CHECK_MS, ended.signal, epochs.closeIfDue, onError))
  }

  /** Settlements that waited for others do not wait for the next start, where enough witnesses are there. */
  const lastOrders = async (): Promise<void> => {
    if (isDue() || !own.hasPending() || refusal != null) return
    const peers = new Set(libp2p.getPeers().map(peer => peer.toString()))
    const there = network.witnesses.filter(witness => witness === account || peers.has(witness))
    if (there.length < quorumOf(network)) return
    patience.hurry()
    const certified = own.certified(own.next - 1).catch(() => undefined) // told to who waits for it
    await Promise.race([certified, pause(LAST_ORDERS_MS, ended.signal)])
  }

  return {
    store,
    book,
    own,
    ready: async signal => {
      if (!isRecovered && store.getMeta('recovered') !== 1) await within(recovered, signal)
      if (refusal != null) throw refusal
    },
    issue: (body, { mayWait } = {}) => {
      const seq = own.issue({ ...body, timeS: Math.floor(now() / 1000) } as Body)
      if (body.type === 'escrow') patience.escrow(body.job)
      else if (body.type === 'settle' && mayWait) patience.settle(body.job)
      else patience.hurry()
      changed()
      return seq
    },
    hurry: patience.hurry,
    submit,
    epoch: () => replica.epoch,
    stop: async () => {
      await lastOrders()
      ended.abort(new LedgerStoppedError())
      patience.stop()
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

/**
 * The store of this account in this network.
 *
 * @throws {LedgerFolderError} the folder is of another
 */
function openOwnStore({ directory, network }: LedgerInit, account: AccountId): Store {
  const store = openStore(directory)
  const owner = `${account} in ${network.id}`
  const known = store.getMeta('owner') ?? owner
  store.setMeta('owner', owner)
  if (known === owner) return store
  store.setMeta('owner', known as string)
  store.close()
  throw new LedgerFolderError(
    `the ledger in ${directory} is of account ${known}, and this node is ${owner}: put the key and the network definition back that belong to it, or put that folder aside`
  )
}

/**
 * The checkpoint on disk; a damaged one is given up, because peers have it. Not by a witness: without it, it would
 * certify grants a second time.
 *
 * @throws {LedgerFolderError}
 */
function lastCheckpoint(
  store: Store,
  { directory, network }: LedgerInit,
  isWitness: boolean
): CheckpointRow | undefined {
  const row = store.checkpoint()
  if (row == null || isWholeCheckpoint(row, network)) return row
  if (isWitness)
    throw new LedgerFolderError(
      `the checkpoint of epoch ${row.next} in ${directory} is damaged, and a witness must not work without it: put the folder back from a backup, or put it aside, so that the others' is fetched`
    )
  store.dropCheckpoint(row.next)
  return undefined
}
