import { decode, encode } from '@ipld/dag-cbor'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import {
  type ClientConfig,
  type ClientState,
  type Credential,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeGroupState,
  decodeMlsMessage,
  defaultCapabilities,
  defaultKeyPackageEqualityConfig,
  defaultLifetime,
  defaultLifetimeConfig,
  defaultPaddingConfig,
  emptyPskIndex,
  encodeGroupState,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  joinGroup,
  type KeyPackage,
  mlsExporter,
  type PrivateKeyPackage,
  processPrivateMessage,
  zeroOutUint8Array
} from 'ts-mls'
import { z } from 'zod'
import { count, hash32, hashOf, isEqual, pack, toHex, unpack } from '../core/codec.ts'
import { MalformedMessageError } from '../errors.ts'
import { openMessage } from './open-message.ts'
import { openSuite, SUITE } from './suite.ts'

/*
 * MLS (RFC 9420) as groups need it: a group is made with all its members at once, and nobody commits in it again. So all
 * of its state stays as it is but the ratchets, one of each member, which move with his messages. Whoever keeps a group
 * keeps its state once, and with each message the one ratchet that it moved.
 */

/** Messages that come in any order: keys of so many are kept for those that are late. */
const KEPT_KEYS = 1_000
/** Keys that one message may skip; beyond, members give the event again. */
const MAX_SKIPPED = 2_000
const SKIPPING = { most: MAX_SKIPPED, kept: KEPT_KEYS }
/** Lengths of messages tell nothing finer. */
const PAD_BYTES = 256

export interface OwnPackage {
  /** what others add this device by */
  publicBytes: Uint8Array
  privateBytes: Uint8Array
  /** hex of the hash of `publicBytes` */
  id: string
}

/** The keys of what a member writes: those that come next, and those of messages that were skipped. */
export interface Ratchet {
  /** place of the member in the tree */
  leaf: number
  bytes: Uint8Array
}
/** A group as it is kept; without ratchets nobody can read or write by its state. */
export interface KeptGroup {
  state: Uint8Array
  ratchets: Ratchet[]
}
/** A group as it is used. It never changes: what a message makes of it is another. */
export interface Session {
  readonly state: ClientState
}

export type Mls = Awaited<ReturnType<typeof createMls>>

/** Its credential is its name, and its key is in its name: nobody else's can be accepted. */
const isOf = (credential: Credential, key: Uint8Array): boolean =>
  credential.credentialType === 'basic' &&
  Buffer.from(credential.identity).toString() === peerIdFromPublicKey(publicKeyFromRaw(key)).toString()

const config: ClientConfig = {
  keyRetentionConfig: {
    retainKeysForGenerations: KEPT_KEYS,
    retainKeysForEpochs: 1,
    maximumForwardRatchetSteps: MAX_SKIPPED
  },
  lifetimeConfig: defaultLifetimeConfig,
  keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
  paddingConfig: defaultPaddingConfig,
  authService: {
    async validateCredential(credential, key) {
      return isOf(credential, key)
    }
  }
}

/** `device` and the seed of its Ed25519 key, which signs for it here too. */
export async function createMls(device: string, seed: Uint8Array) {
  const keys = { signKey: seed, publicKey: peerIdFromString(device).publicKey!.raw }
  const suite = await openSuite(seed, keys.publicKey)
  const own: Credential = { credentialType: 'basic', identity: Buffer.from(device) }

  async function isSigned(state: ClientState, bytes: Uint8Array): Promise<boolean> {
    const message = messageOf(bytes)
    if (message?.wireformat !== 'mls_private_message') return false
    return processPrivateMessage(state, message.privateMessage, emptyPskIndex, suite).then(
      () => true,
      () => false
    )
  }

  const makePackage = () =>
    generateKeyPackageWithKey(own, defaultCapabilities(), defaultLifetime, [], keys, suite)

  return {
    device,
    async keyPackage(): Promise<OwnPackage> {
      const { publicPackage, privatePackage } = await makePackage()
      const publicBytes = encodeMlsMessage({
        keyPackage: publicPackage,
        wireformat: 'mls_key_package',
        version: 'mls10'
      })
      return { publicBytes, privateBytes: encode(privatePackage), id: toHex(hashOf(publicBytes)) }
    },

    /**
     * A group of this device and those whose packages are given, by device.
     *
     * @throws {MalformedMessageError} a package is not that of its device
     */
    async create(
      groupId: Uint8Array,
      packages: ReadonlyMap<string, Uint8Array>
    ): Promise<KeptGroup & { welcome: Uint8Array | undefined }> {
      const { publicPackage, privatePackage } = await makePackage()
      const state = await createGroup(groupId, publicPackage, privatePackage, [], suite, config)
      const extraProposals = [...packages].map(([name, bytes]) => ({
        proposalType: 'add' as const,
        add: { keyPackage: packageOf(name, bytes) }
      }))
      const { newState, welcome, consumed } = await createCommit(
        { state, cipherSuite: suite },
        { extraProposals, ratchetTreeExtension: true }
      )
      consumed.forEach(zeroOutUint8Array)
      return {
        ...keptOf(newState),
        welcome:
          welcome == null
            ? undefined
            : encodeMlsMessage({ welcome, wireformat: 'mls_welcome', version: 'mls10' })
      }
    },

    /** @throws {MalformedMessageError} it is not what the device made: others can add nobody by it */
    async checkPackage(name: string, bytes: Uint8Array): Promise<void> {
      packageOf(name, bytes)
      try {
        await this.create(hashOf(bytes), new Map([[name, bytes]]))
      } catch (error) {
        throw new MalformedMessageError(`a key package of ${name} is not right: ${(error as Error).message}`)
      }
    },

    /** @throws {MalformedMessageError} a welcome that is not for this package */
    async join(
      welcome: Uint8Array,
      { publicBytes, privateBytes }: Pick<OwnPackage, 'publicBytes' | 'privateBytes'>
    ): Promise<KeptGroup> {
      const message = messageOf(welcome)
      if (message?.wireformat !== 'mls_welcome') throw new MalformedMessageError('this is no welcome')
      const state = await joinGroup(
        message.welcome,
        packageOf(device, publicBytes),
        decode(privateBytes) as PrivateKeyPackage,
        emptyPskIndex,
        suite,
        undefined,
        undefined,
        config
      ).catch((error: Error) => {
        throw new MalformedMessageError(`a welcome cannot be used: ${error.message}`)
      })
      return keptOf(state)
    },

    /** @throws {MalformedMessageError} the group has another id, or other members than these */
    check(state: Uint8Array, groupId: Uint8Array, devices: readonly string[]): void {
      const decoded = stateOf(state)
      const { groupContext, ratchetTree } = decoded
      const members = ratchetTree.flatMap((_, at) => memberAt(decoded, at) ?? [])
      if (!isEqual(groupContext.groupId, groupId))
        throw new MalformedMessageError('a welcome to another group')
      if ([...members].sort().join() !== [...devices].sort().join())
        throw new MalformedMessageError('a welcome to a group of others')
    },

    /** @throws {MalformedMessageError} what is kept is damaged */
    session(state: Uint8Array, ratchets: readonly Ratchet[]): Session {
      const decoded = stateOf(state)
      const secretTree = [...decoded.secretTree]
      for (const { leaf, bytes } of ratchets) {
        const [secret, generation, skipped] = unpack(ratchetSchema, bytes, MAX_RATCHET_BYTES, 'a ratchet')
        const application = { secret, generation, unusedGenerations: Object.fromEntries(skipped) }
        secretTree[leaf] = { application, handshake: NO_RATCHET }
      }
      return { state: { ...decoded, secretTree } }
    },

    /** The next message of this device: the ratchet must be kept before the message goes anywhere. */
    async seal(session: Session, data: Uint8Array) {
      const { newState, privateMessage } = await createApplicationMessage(session.state, padded(data), suite)
      const message = encodeMlsMessage({
        privateMessage,
        wireformat: 'mls_private_message',
        version: 'mls10'
      })
      return { session: { state: newState }, ratchet: movedBetween(session.state, newState), message }
    },

    /**
     * What is in it, and the member that it says it is from: who asks `isSigned` knows that it is. Where the data carries a
     * signature of that member, and his key for it is the same one, it says no more.
     *
     * @throws {MalformedMessageError} it is not for this group, was opened already, or is damaged
     */
    open({ state }: Session, bytes: Uint8Array) {
      const { leaf, keys: application, data } = openMessage(state, bytes, SKIPPING)
      const secretTree = state.secretTree.with(leaf, { handshake: NO_RATCHET, application })
      return {
        session: { state: { ...state, secretTree } },
        /** place of the member in the tree, whose ratchet it moved */
        leaf,
        data: unpadded(data),
        from: memberAt(state, leaf),
        isSigned: () => isSigned(state, bytes)
      }
    },

    /** What is kept of the messages that a member sent. */
    ratchet: ({ state }: Session, leaf: number): Ratchet => ratchetOf(leaf, state.secretTree[leaf]!),

    /** 32 bytes that only members of this group have. */
    secret: (state: Uint8Array, label: string): Promise<Uint8Array> =>
      mlsExporter(stateOf(state).keySchedule.exporterSecret, label, new Uint8Array(), 32, suite),

    /** Seals to whoever has the private part of a package (HPKE, RFC 9180). */
    async sealTo(
      packageBytes: Uint8Array,
      name: string,
      data: Uint8Array
    ): Promise<[Uint8Array, Uint8Array]> {
      const key = await suite.hpke.importPublicKey(packageOf(name, packageBytes).initKey)
      const { ct, enc } = await suite.hpke.seal(key, data, NOTE)
      return [enc, ct]
    },
    async openFrom(
      privateBytes: Uint8Array,
      [enc, ct]: readonly [Uint8Array, Uint8Array]
    ): Promise<Uint8Array> {
      const { initPrivateKey } = decode(privateBytes) as PrivateKeyPackage
      return suite.hpke.open(await suite.hpke.importPrivateKey(initPrivateKey), enc, ct, NOTE)
    }
  }
}

const NOTE = Buffer.from('artel/messenger/note')
/** each skipped message has a secret in its ratchet */
const MAX_RATCHET_BYTES = 64 * MAX_SKIPPED
/** Nobody commits in a group, so its ratchets for that are never used. */
const NO_RATCHET = { secret: new Uint8Array(), generation: 0, unusedGenerations: {} }

const ratchetSchema = z.tuple([hash32, count, z.array(z.tuple([count, hash32])).max(MAX_SKIPPED)])

type Ratcheted = ClientState['secretTree'][number]

function ratchetOf(leaf: number, { application }: Ratcheted): Ratchet {
  const { secret, generation, unusedGenerations } = application
  const skipped = Object.entries(unusedGenerations).map(([number, key]) => [Number(number), key])
  return { leaf, bytes: pack([secret, generation, skipped]) }
}

/** Without the ratchets, whose first keys would open whatever was written. */
function keptOf(state: ClientState): KeptGroup {
  const ratchets = state.secretTree.flatMap((each, at) => (at % 2 === 0 ? [ratchetOf(at, each)] : []))
  return { state: encodeGroupState({ ...state, secretTree: [] }), ratchets }
}

function movedBetween({ secretTree: before }: ClientState, { secretTree: after }: ClientState): Ratchet {
  const leaf = after.findIndex((each, at) => each !== before[at])
  return ratchetOf(leaf, after[leaf]!)
}

function memberAt({ ratchetTree }: ClientState, leaf: number): string | undefined {
  const node = ratchetTree[leaf]
  return node?.nodeType === 'leaf' && node.leaf.credential.credentialType === 'basic'
    ? Buffer.from(node.leaf.credential.identity).toString()
    : undefined
}

/** @throws {MalformedMessageError} */
function messageOf(bytes: Uint8Array) {
  try {
    return decodeMlsMessage(bytes, 0)?.[0]
  } catch (error) {
    throw new MalformedMessageError(`this is no message of MLS: ${(error as Error).message}`)
  }
}

function packageOf(device: string, bytes: Uint8Array): KeyPackage {
  const message = messageOf(bytes)
  if (message?.wireformat !== 'mls_key_package') throw new MalformedMessageError('this is no key package')
  const { credential, signaturePublicKey } = message.keyPackage.leafNode
  const isRight =
    message.keyPackage.cipherSuite === SUITE &&
    isOf(credential, signaturePublicKey) &&
    credential.credentialType === 'basic' &&
    Buffer.from(credential.identity).toString() === device
  if (!isRight) throw new MalformedMessageError(`a key package is not that of ${device}`)
  return message.keyPackage
}

function stateOf(bytes: Uint8Array): ClientState {
  const decoded = decodeGroupState(bytes, 0)
  if (decoded == null) throw new MalformedMessageError('the kept state of a group is damaged')
  return { ...decoded[0], clientConfig: config }
}

function padded(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil((data.length + 4) / PAD_BYTES) * PAD_BYTES)
  new DataView(out.buffer).setUint32(0, data.length)
  out.set(data, 4)
  return out
}

function unpadded(bytes: Uint8Array): Uint8Array {
  const length = bytes.length < 4 ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  if (length < 0 || length > bytes.length - 4) throw new MalformedMessageError('a message is cut off')
  return bytes.slice(4, 4 + length)
}
