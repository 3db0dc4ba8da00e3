import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as digest from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import { ServiceKeyError } from './errors.ts'

/** What every node that lends its CPU announces. */
export const COMPUTE_SERVICE = 'artel/compute/1'

/**
 * The DHT key of a service: CIDv1, raw, SHA-256 of its name in UTF-8.
 *
 * @throws {ServiceKeyError}
 */
export function serviceCid(service: string): CID {
  if (!/^artel\/[a-z0-9-]{1,64}\/[1-9][0-9]{0,4}$/.test(service)) {
    throw new ServiceKeyError(
      `"${service}" is not a service key; write artel/<name>/<version>, like ${COMPUTE_SERVICE}`
    )
  }
  return CID.createV1(raw.code, digest.create(sha256.code, createHash('sha256').update(service).digest()))
}
