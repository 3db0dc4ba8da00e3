import { readFile } from 'node:fs/promises'
import { encode } from '@ipld/dag-cbor'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { NetworkError } from './errors.ts'
import { replaceFile } from './files.ts'

/** Separates this signature from every other one made with the same key. */
const SIGNATURE_DOMAIN = 'artel/network/1\n'

/** 100 credits in micro-credits: what a new account begins with. */
export const DEFAULT_GRANT_MICRO = 100_000_000n

/** A definition lists seeds and witnesses, not a population; keeps what a seed can send us small. */
const MAX_PEERS = 64

/** Well above 64 seeds and witnesses with long addresses. */
export const MAX_NETWORK_BYTES = 64 * 1024

const peerId = z.string().refine(isPeerId, 'not a peer id')
const seedAddress = z.string().refine(isSeedAddress, 'not a multiaddr that ends in /p2p/<peer id>')

const unsignedSchema = z.strictObject({
  v: z.literal(1),
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'a name has 1 to 32 lower-case letters, digits and dashes'),
  /** Counts up with every new definition by the same founder. */
  epoch: z.int().min(1),
  /** Peer id of the key that signs definitions of this network. */
  founder: peerId,
  seeds: z.array(seedAddress).max(MAX_PEERS),
  /** Who certifies orders; tolerates f = ⌊(n − 1) / 3⌋ bad ones. */
  witnesses: z.array(peerId).min(1).max(MAX_PEERS).refine(isUnique, 'a witness is named twice'),
  grant: z.strictObject({
    /** micro-credits, decimal: JSON has no 64-bit integers */
    amount: z.string().regex(/^(0|[1-9][0-9]{0,17})$/, 'an amount is a decimal number of micro-credits'),
    /** leading zero bits that a new account has to find; 0 on private networks */
    powBits: z.int().min(0).max(32)
  }),
  /** 32 bytes in hexadecimal: only who has it can speak to this network at all. */
  preSharedKey: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'a pre-shared key has 64 hexadecimal digits')
    .optional()
})

export const networkSchema = unsignedSchema.extend({
  /** Ed25519 over the canonical encoding of all other fields, base64 */
  signature: z.string().regex(/^[A-Za-z0-9+/]{86}==$/, 'a signature has 64 bytes in base64')
})

export type UnsignedNetwork = z.infer<typeof unsignedSchema>
/** What a network is: who founded it, where its seeds are, who its witnesses are. Plain JSON, signed. */
export type NetworkDefinition = z.infer<typeof networkSchema>

export interface CreateNetworkInit {
  name: string
  /** multiaddrs that end in /p2p/<peer id> */
  seeds?: string[]
  /** peer ids; default: the seeds, or the founder when there are none */
  witnesses?: string[]
  grant?: { amount?: bigint; powBits?: number }
  preSharedKey?: string
}

/** Makes epoch 1 of a network whose founder is the given key. */
export async function createNetwork(
  init: CreateNetworkInit,
  founderKey: PrivateKey
): Promise<NetworkDefinition> {
  const founder = peerIdFromPrivateKey(founderKey).toString()
  const seeds = init.seeds ?? []
  const seedIds = [...new Set(seeds.filter(isSeedAddress).map(seed => peerOf(seed) as string))]
  return signNetwork(
    {
      v: 1,
      name: init.name,
      epoch: 1,
      founder,
      seeds,
      witnesses: init.witnesses ?? (seedIds.length > 0 ? seedIds : [founder]),
      grant: {
        amount: (init.grant?.amount ?? DEFAULT_GRANT_MICRO).toString(),
        powBits: init.grant?.powBits ?? 0
      },
      ...(init.preSharedKey == null ? {} : { preSharedKey: init.preSharedKey })
    },
    founderKey
  )
}

/**
 * Signs a definition; an earlier signature in it is ignored.
 *
 * @throws {NetworkError} a field is wrong, or the key is not the founder's
 */
export async function signNetwork(
  definition: UnsignedNetwork | NetworkDefinition,
  founderKey: PrivateKey
): Promise<NetworkDefinition> {
  const { signature: _, ...rest } = { signature: '', ...definition }
  const unsigned = parse(unsignedSchema, rest)
  const signer = peerIdFromPrivateKey(founderKey).toString()
  if (signer !== unsigned.founder) {
    throw new NetworkError(
      `network ${unsigned.name} is signed by its founder ${unsigned.founder}, not by ${signer}`
    )
  }
  const signature = await founderKey.sign(signedBytes(unsigned))
  return { ...unsigned, signature: Buffer.from(signature).toString('base64') }
}

/**
 * Checks form and signature of an untrusted value. With `previous`, also that it continues that definition:
 * same founder and name, and a later epoch unless it is the same definition.
 *
 * @throws {NetworkError}
 */
export async function verifyNetwork(
  value: unknown,
  { previous }: { previous?: NetworkDefinition } = {}
): Promise<NetworkDefinition> {
  const definition = parse(networkSchema, value)
  const { signature, ...unsigned } = definition
  const key = peerIdFromString(definition.founder).publicKey
  if (key == null || !(await key.verify(signedBytes(unsigned), Buffer.from(signature, 'base64')))) {
    throw new NetworkError(
      `the definition of network ${definition.name} is not signed by its founder ${definition.founder}; get a fresh copy, or sign it with: artel network sign`
    )
  }
  if (previous != null && networkId(previous) !== networkId(definition)) {
    throw new NetworkError(`expected network ${networkId(previous)}, got ${networkId(definition)}`)
  }
  if (previous != null && definition.epoch <= previous.epoch && definition.signature !== previous.signature) {
    throw new NetworkError(
      `network ${definition.name} is at epoch ${previous.epoch} here; a definition of epoch ${definition.epoch} cannot replace it`
    )
  }
  return definition
}

/**
 * Reads and verifies a definition.
 *
 * @throws {NetworkError} names the file
 */
export async function loadNetwork(file: string): Promise<NetworkDefinition> {
  try {
    // editors begin files with a byte order mark, which JSON has not
    return await verifyNetwork(JSON.parse((await readFile(file, 'utf8')).replace(/^\uFEFF/, '')))
  } catch (error) {
    throw new NetworkError(`${file}: ${(error as Error).message}`)
  }
}

/** Writes a definition; with a pre-shared key inside it is a secret and gets mode 0600. */
export async function saveNetwork(file: string, definition: NetworkDefinition): Promise<void> {
  const text = `${JSON.stringify(definition, null, 2)}\n`
  await replaceFile(file, Buffer.from(text), definition.preSharedKey == null ? 0o644 : 0o600)
}

/**
 * Name of a network in protocol ids and topics. Ends in the founder's key, because anybody may found a network
 * of any name, and two of the same name must not mix their DHTs and ledgers.
 */
export function networkId(definition: Pick<NetworkDefinition, 'name' | 'founder'>): string {
  return `${definition.name}-${definition.founder.slice(-12)}`
}

/** The last peer id in a multiaddr, if there is one. */
export function peerOf(address: string): string | undefined {
  return multiaddr(address)
    .getComponents()
    .findLast(component => component.name === 'p2p')?.value
}

function signedBytes(unsigned: UnsignedNetwork): Uint8Array {
  return Buffer.concat([Buffer.from(SIGNATURE_DOMAIN), encode(unsigned)])
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  throw new NetworkError(`not a network definition: ${issue.path.join('.') || 'value'}: ${issue.message}`)
}

/** An Ed25519 peer id; only those contain their key. */
export function isPeerId(value: string): boolean {
  try {
    return peerIdFromString(value).type === 'Ed25519'
  } catch {
    return false
  }
}

/** A multiaddr that ends in a peer id. */
export function isSeedAddress(value: string): boolean {
  try {
    const id = peerOf(value)
    return id != null && isPeerId(id) && value.length <= 512
  } catch {
    return false
  }
}

function isUnique(values: string[]): boolean {
  return new Set(values).size === values.length
}
