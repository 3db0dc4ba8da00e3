import { randomBytes } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { z } from 'zod'
import { createSigner, type Signer } from '../../../ledger/index.ts'
import { bytesOf, hash32, keyName, pack, unpack } from '../core/codec.ts'
import { MAX_MAILBOXES, userId } from '../core/statement.ts'
import { MalformedMessageError } from '../errors.ts'

/* A code that lets one device of one person in: the school, the person, a key, and nodes to ask. */

export interface Invitation {
  school: Uint8Array
  user: string
  seed: Uint8Array
  peers: string[]
}

const tuple = z.tuple([hash32, userId, bytesOf(32), z.array(keyName).max(MAX_MAILBOXES)])
const MAX_BYTES = 1024

export const signerOf = async (seed: Uint8Array): Promise<Signer> =>
  createSigner(await generateKeyPairFromSeed('Ed25519', seed))

export const newSeed = (): Uint8Array => new Uint8Array(randomBytes(32))

export const writeCode = ({ school, user, seed, peers }: Invitation): string =>
  Buffer.from(pack([school, user, seed, peers])).toString('base64url')

/** @throws {MalformedMessageError} no code of an invitation */
export function readCode(code: string): Invitation {
  const bytes = new Uint8Array(Buffer.from(code.trim(), 'base64url'))
  if (bytes.length === 0) throw new MalformedMessageError('this is no invitation')
  const [school, user, seed, peers] = unpack(tuple, bytes, MAX_BYTES, 'the invitation')
  return { school, user, seed, peers }
}

/** What the key of an invitation signs so that its node may read the roster. */
export const passFor = (school: Uint8Array, peer: string): Uint8Array => pack([school, peer])
