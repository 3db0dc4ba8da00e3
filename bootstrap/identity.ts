import { readFile, stat } from 'node:fs/promises'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { IdentityError } from './errors.ts'
import { createFile } from './files.ts'

/** An Ed25519 key: the peer id and the account of a node. */
export interface Identity {
  privateKey: Ed25519PrivateKey
  peerId: PeerId
}

export async function createIdentity(): Promise<Identity> {
  return fromKey(await generateKeyPair('Ed25519'))
}

/**
 * Reads the identity from `file` (libp2p protobuf, mode 0600), or creates it there when the file does not exist.
 * An existing file is never overwritten.
 *
 * @throws {IdentityError} the file is not an Ed25519 key, cannot be read, or may be read by other users
 */
export async function loadOrCreateIdentity(file: string): Promise<Identity> {
  const existing = await loadIdentity(file)
  if (existing != null) return existing
  const identity = await createIdentity()
  const created = await createFile(file, privateKeyToProtobuf(identity.privateKey), 0o600).catch(error => {
    throw new IdentityError(
      `cannot create the key file ${file}: ${error.message}; check the folder's owner and mode`
    )
  })
  if (created) return identity
  // another process was faster: its key is the one
  const other = await loadIdentity(file)
  if (other == null) throw new IdentityError(`the key file ${file} vanished while it was read; try again`)
  return other
}

/** The identity in `file`, or undefined when there is no such file. */
async function loadIdentity(file: string): Promise<Identity | undefined> {
  let bytes: Uint8Array
  try {
    const mode = (await stat(file)).mode & 0o777
    if ((mode & 0o077) !== 0) {
      throw new IdentityError(
        `the key file ${file} may be read by other users (mode ${mode.toString(8)}); run: chmod 600 ${file}`
      )
    }
    bytes = await readFile(file)
  } catch (error) {
    if (error instanceof IdentityError) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new IdentityError(`cannot read the key file ${file}: ${(error as Error).message}`)
  }
  return parseIdentity(bytes, file)
}

function parseIdentity(bytes: Uint8Array, file: string): Identity {
  const advice = `restore it from a backup, or move it away to start as a new node with an empty account`
  let key: ReturnType<typeof privateKeyFromProtobuf>
  try {
    key = privateKeyFromProtobuf(bytes)
  } catch (error) {
    throw new IdentityError(`the key file ${file} is damaged (${(error as Error).message}); ${advice}`)
  }
  if (key.type !== 'Ed25519') {
    throw new IdentityError(
      `the key file ${file} holds a key of type ${key.type}, expected Ed25519; ${advice}`
    )
  }
  return fromKey(key)
}

function fromKey(privateKey: Ed25519PrivateKey): Identity {
  return { privateKey, peerId: peerIdFromPrivateKey(privateKey) }
}
