import { z } from 'zod'
import { decodeValue } from '../../sandbox/index.ts'

/**
 * Lets go of results that stayed at a worker. One request and one answer per stream, canonical values behind a varint
 * length; they belong to the authenticated peer of the connection.
 */
export const RELEASE_PROTOCOL = '/artel/release/1'

// Datasets that one request may name.
const MAX_JOBS = 1000
export const MAX_RELEASE_BYTES = 128 * 1024

const request = z.object({ jobs: z.array(z.string().min(1).max(64)).min(1).max(MAX_JOBS) })
export type ReleaseRequest = z.output<typeof request>

/** undefined for what is none. Throws ValueError for what is no value. */
export const readReleaseRequest = (bytes: Uint8Array): ReleaseRequest | undefined =>
  request.safeParse(decodeValue(bytes, { maxItems: 2 * MAX_JOBS })).data
