import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { EntryError } from '../errors.ts'

/* A chain names its agent by the raw Ed25519 key, people and the network by the peer id. */

const KEY_BYTES = 32
/** Both ways are asked for with every entry. */
const MAX_CACHED = 10_000
const keys = new Map<string, Uint8Array>()
const agents = new Map<string, string>()

/** @throws {EntryError} not the peer id of an Ed25519 key */
export function keyOf(agent: string): Uint8Array {
  return cached(keys, agent, () => {
    try {
      const key = peerIdFromString(agent).publicKey
      if (key?.type === 'Ed25519') return key.raw
    } catch {
      // said below
    }
    throw new EntryError(`${agent.slice(0, 80)} is not the peer id of an Ed25519 key`)
  })
}

/** @throws {EntryError} */
export function agentOf(key: unknown): string {
  if (!(key instanceof Uint8Array) || key.length !== KEY_BYTES)
    throw new EntryError(`the key of an agent has ${KEY_BYTES} bytes`)
  return cached(agents, Buffer.from(key).toString('latin1'), () =>
    peerIdFromPublicKey(publicKeyFromRaw(key)).toString()
  )
}

function cached<T>(cache: Map<string, T>, name: string, make: () => T): T {
  const known = cache.get(name)
  if (known !== undefined) return known
  const made = make()
  if (cache.size >= MAX_CACHED) cache.clear()
  cache.set(name, made)
  return made
}
