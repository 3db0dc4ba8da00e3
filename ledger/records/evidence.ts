import { MalformedError } from '../errors.ts'
import { bytesOf, fromBytes, integer, list, text, toBytes } from './codec.ts'
import {
  accountOf,
  isEqual,
  isSignedBy,
  KEY_BYTES,
  keyOf,
  SIGNATURE_BYTES,
  type Signer,
  sha256
} from './keys.ts'
import type { LedgerNetwork } from './network.ts'
import { MAX_JOB_CHARS } from './order.ts'
import { isWorkProof, type WorkProof, workProofFrom, workProofToTuple } from './receipt.ts'
import type { AccountId } from './types.ts'

export const MAX_EVIDENCE_BYTES = 32 * 1024
/**
 * Counts up when evidence of an earlier version turns out to have convicted honest workers: it is void from then on, and
 * the standing that it cost is given back (`forgive` in book/reputation.ts). Evidence of version 1 was also made of programs
 * that keep something from one item to the next, whose answers hang on the cut; it does not say of which, so all of it is void.
 */
export const EVIDENCE_VERSION = 2
const EVIDENCE_DOMAIN = `artel/ledger/evidence/${EVIDENCE_VERSION}`
/** Fewer than two others is one word against another. */
export const MIN_OTHERS = 2
const MAX_OTHERS = 7

/**
 * That a worker signed a result for a slice, and others a different one. Everybody can check the signatures, and who
 * has the job can recalculate the slice. How much the others' word weighs is decided in reputation.ts.
 */
export interface Evidence {
  job: string
  accused: WorkProof
  /** agree with each other */
  others: WorkProof[]
  reporter: AccountId
}

/** One wrong answer counts once, whoever reports it and with whatever others. */
export const evidenceKey = ({ job, accused }: Evidence): string =>
  Buffer.from(sha256(toBytes([job, accused.slice, keyOf(accused.worker)])))
    .toString('hex')
    .slice(0, 32)

/** @throws {MalformedError} it proves nothing */
export function signEvidence(
  signer: Signer,
  network: string,
  job: string,
  accused: WorkProof,
  others: WorkProof[]
): Uint8Array {
  const claim = [
    EVIDENCE_VERSION,
    network,
    job,
    workProofToTuple(accused),
    others.map(workProofToTuple),
    keyOf(signer.account)
  ]
  const evidence = { job, accused, others, reporter: signer.account }
  check(network, evidence)
  return toBytes([...claim, signer.sign(EVIDENCE_DOMAIN, toBytes(claim))])
}

/** @throws {MalformedError} it proves nothing, or is of an earlier version and void */
export function verifyEvidence(bytes: Uint8Array, { id }: Pick<LedgerNetwork, 'id'>): Evidence {
  const tuple = list(fromBytes(bytes, MAX_EVIDENCE_BYTES, 'evidence'), 'evidence', 7)
  integer(tuple[0], 'version of evidence', EVIDENCE_VERSION, EVIDENCE_VERSION)
  if (text(tuple[1], 'network', 128) !== id) throw new MalformedError('evidence of another network')
  const evidence: Evidence = {
    job: text(tuple[2], 'job', MAX_JOB_CHARS, 1),
    accused: workProofFrom(tuple[3]),
    others: list(tuple[4], 'others', MIN_OTHERS, MAX_OTHERS).map(workProofFrom),
    reporter: accountOf(bytesOf(tuple[5], 'reporter', KEY_BYTES))
  }
  const signature = bytesOf(tuple[6], 'signature', SIGNATURE_BYTES)
  if (!isSignedBy(evidence.reporter, EVIDENCE_DOMAIN, toBytes(tuple.slice(0, 6)), signature))
    throw new MalformedError(`evidence is not signed by its reporter ${evidence.reporter}`)
  check(id, evidence)
  return evidence
}

function check(network: string, { job, accused, others }: Evidence): void {
  const workers = new Set([accused, ...others].map(({ worker }) => worker))
  if (workers.size !== others.length + 1) throw new MalformedError('a worker speaks twice in the evidence')
  const digest = others[0]?.digest
  const isClear =
    others.length >= MIN_OTHERS &&
    others.length <= MAX_OTHERS &&
    others.every(other => other.slice === accused.slice && isEqual(other.digest, digest!)) &&
    !isEqual(accused.digest, digest!)
  if (!isClear)
    throw new MalformedError(`the answers to slice ${accused.slice} do not contradict the accused one`)
  const unsigned = [accused, ...others].find(proof => !isWorkProof(network, job, proof))
  if (unsigned != null)
    throw new MalformedError(`an answer in the evidence is not signed by ${unsigned.worker}`)
}
