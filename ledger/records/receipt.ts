import { MalformedError } from '../errors.ts'
import { bytesOf, fromBytes, integer, list, micro, text, toBytes } from './codec.ts'
import { accountOf, HASH_BYTES, isSignedBy, KEY_BYTES, keyOf, SIGNATURE_BYTES, type Signer } from './keys.ts'
import { MAX_PATH, merkleTree, rootOf } from './merkle.ts'
import { MAX_JOB_CHARS } from './order.ts'
import type { AccountId, Micro } from './types.ts'

export const MAX_RECEIPT_BYTES = 8 * 1024
const MAX_NETWORK_CHARS = 128
const MAX_SLICES = 2 ** 32
const WORK_DOMAIN = 'artel/ledger/work/1'
const RECEIPTS_DOMAIN = 'artel/ledger/receipts/1'
const RECEIPT_VERSION = 1

/** One slice of work, as worker and requester both sign it. */
export interface SliceWork {
  /** number of the slice in its job */
  slice: number
  /** 32 bytes that stand for the result: the Merkle root over its items (scheduler/trust/answer-digest.ts) */
  digest: Uint8Array
  amount: Micro
}

/** All slices of one worker in one job, signed by the worker. */
export interface SignedWork {
  worker: AccountId
  slices: SliceWork[]
  signature: Uint8Array
}

/** That a worker answered a slice with this digest: one leaf of its signed work. */
export interface WorkProof extends SliceWork {
  worker: AccountId
  index: number
  count: number
  path: Uint8Array[]
  signature: Uint8Array
}

/** What `verifyReceipt` vouches for. */
export interface Receipt extends SliceWork {
  network: string
  job: string
  requester: AccountId
  worker: AccountId
}

const sliceLeaf = ({ slice, digest, amount }: SliceWork): Uint8Array => toBytes([slice, digest, amount])
const workMessage = (network: string, job: string, root: Uint8Array, count: number): Uint8Array =>
  toBytes([network, job, root, count])
const workerLeaf = (worker: AccountId, root: Uint8Array, count: number): Uint8Array =>
  toBytes([keyOf(worker), root, count])

/** A worker signs the slices that it did for a job, in the order given: one signature for all. */
export function signWork(signer: Signer, network: string, job: string, slices: SliceWork[]): SignedWork {
  const { root } = merkleTree(slices.map(sliceLeaf))
  const signature = signer.sign(WORK_DOMAIN, workMessage(network, job, root, slices.length))
  return { worker: signer.account, slices, signature }
}

/** Whether a worker's signature stands under its slices. */
export function isWorkSigned(network: string, job: string, work: SignedWork): boolean {
  if (work.slices.length === 0) return false
  const { root } = merkleTree(work.slices.map(sliceLeaf))
  return isSignedBy(
    work.worker,
    WORK_DOMAIN,
    workMessage(network, job, root, work.slices.length),
    work.signature
  )
}

/** One slice out of a worker's signed work. */
export function workProof({ worker, slices, signature }: SignedWork, index: number): WorkProof {
  const { path } = merkleTree(slices.map(sliceLeaf))
  return { ...slices[index]!, worker, index, count: slices.length, path: path(index), signature }
}

export function isWorkProof(network: string, job: string, proof: WorkProof): boolean {
  const root = rootOf(sliceLeaf(proof), proof.index, proof.count, proof.path)
  return (
    root != null &&
    isSignedBy(proof.worker, WORK_DOMAIN, workMessage(network, job, root, proof.count), proof.signature)
  )
}

export const workProofToTuple = (proof: WorkProof): unknown[] => [
  keyOf(proof.worker),
  proof.slice,
  proof.digest,
  proof.amount,
  proof.index,
  proof.count,
  proof.path,
  proof.signature
]

/** @throws {MalformedError} */
export function workProofFrom(value: unknown): WorkProof {
  const tuple = list(value, 'a proof of work', 8)
  return {
    worker: accountOf(bytesOf(tuple[0], 'worker', KEY_BYTES)),
    slice: integer(tuple[1], 'slice', 0, Number.MAX_SAFE_INTEGER),
    digest: bytesOf(tuple[2], 'digest', HASH_BYTES),
    amount: micro(tuple[3], 'amount', 0n),
    index: integer(tuple[4], 'index', 0, MAX_SLICES - 1),
    count: integer(tuple[5], 'count', 1, MAX_SLICES),
    path: pathFrom(tuple[6]),
    signature: bytesOf(tuple[7], 'signature', SIGNATURE_BYTES)
  }
}

/** The receipts of one settlement. */
export interface Receipts {
  /** goes into the settling order */
  root: Uint8Array
  /** The receipt of one slice of one worker: both signatures and the paths, checkable by anybody, offline. */
  receipt(worker: AccountId, slice: number): Uint8Array
}

/**
 * A requester signs the work of all workers of a job, once.
 *
 * @throws {MalformedError} a worker's signature is wrong, or there is no work
 */
export function createReceipts(signer: Signer, network: string, job: string, works: SignedWork[]): Receipts {
  const bad = works.find(work => !isWorkSigned(network, job, work))
  if (bad != null) throw new MalformedError(`the work of ${bad.worker} for job ${job} is not signed by it`)
  const trees = works.map(({ slices }) => merkleTree(slices.map(sliceLeaf)))
  const tree = merkleTree(
    works.map(({ worker, slices }, i) => workerLeaf(worker, trees[i]!.root, slices.length))
  )
  const signature = signer.sign(RECEIPTS_DOMAIN, workMessage(network, job, tree.root, works.length))
  return {
    root: tree.root,
    receipt: (worker, slice) => {
      const at = works.findIndex(
        work => work.worker === worker && work.slices.some(each => each.slice === slice)
      )
      const index = works[at]?.slices.findIndex(work => work.slice === slice) ?? -1
      if (index < 0) throw new RangeError(`job ${job} has no slice ${slice} of ${worker}`)
      const proof = { ...workProof(works[at]!, index), path: trees[at]!.path(index) }
      return toBytes([
        RECEIPT_VERSION,
        network,
        job,
        keyOf(signer.account),
        workProofToTuple(proof),
        at,
        works.length,
        tree.path(at),
        signature
      ])
    }
  }
}

/**
 * Checks a receipt with nothing but its bytes: the worker says it did the slice with this result, and the requester
 * says it accepted that for this amount. Whether it was paid is in the ledger (the settling order has `root`).
 *
 * @throws {MalformedError}
 */
export function verifyReceipt(bytes: Uint8Array): Receipt & { root: Uint8Array } {
  const tuple = list(fromBytes(bytes, MAX_RECEIPT_BYTES, 'a receipt'), 'a receipt', 9)
  integer(tuple[0], 'version', RECEIPT_VERSION, RECEIPT_VERSION)
  const network = text(tuple[1], 'network', MAX_NETWORK_CHARS, 1)
  const job = text(tuple[2], 'job', MAX_JOB_CHARS, 1)
  const requester = accountOf(bytesOf(tuple[3], 'requester', KEY_BYTES))
  const proof = workProofFrom(tuple[4])
  const at = integer(tuple[5], 'place', 0, MAX_SLICES - 1)
  const count = integer(tuple[6], 'workers', 1, MAX_SLICES)
  const signature = bytesOf(tuple[8], 'signature', SIGNATURE_BYTES)
  if (!isWorkProof(network, job, proof))
    throw new MalformedError(
      `the receipt of slice ${proof.slice} is not signed by its worker ${proof.worker}`
    )
  const workRoot = rootOf(sliceLeaf(proof), proof.index, proof.count, proof.path)!
  const root = rootOf(workerLeaf(proof.worker, workRoot, proof.count), at, count, pathFrom(tuple[7]))
  if (
    root == null ||
    !isSignedBy(requester, RECEIPTS_DOMAIN, workMessage(network, job, root, count), signature)
  )
    throw new MalformedError(
      `the receipt of slice ${proof.slice} is not signed by its requester ${requester}`
    )
  const { slice, digest, amount, worker } = proof
  return { network, job, requester, worker, slice, digest, amount, root }
}

function pathFrom(value: unknown): Uint8Array[] {
  return list(value, 'a path', 0, MAX_PATH).map(hash => bytesOf(hash, 'a hash of a path', HASH_BYTES))
}
