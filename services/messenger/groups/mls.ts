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
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  type KeyPackage,
  mlsExporter,
  type PrivateKeyPackage,
  processPrivateMessage,
  zeroOutUint8Array
} from 'ts-mls'
import { hashOf, isEqual, toHex } from '../core/codec.ts'
import { MalformedMessageError } from '../errors.ts'

/*
 * MLS (RFC 9420) as groups need it: a group is made with all its members at once, and nobody commits in it again.
 * States are bytes, so that whoever keeps them writes them together with what they gave.
 */

const SUITE = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519'
/** Messages that come in any order: keys of so many are kept for those that are late. */
const KEPT_KEYS = 1_000
/** Keys that one message may skip; beyond, members give the event again. */
const MAX_SKIPPED = 2_000
/** Lengths of messages tell nothing finer. */
const PAD_BYTES = 256

export interface OwnPackage {
  /** what others add this device by */
  publicBytes: Uint8Array
  privateBytes: Uint8Array
  /** hex of the hash of `publicBytes` */
  id: string
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
  const suite = await getCiphersuiteImpl(getCiphersuiteFromName(SUITE))
  const keys = { signKey: seed, publicKey: peerIdFromString(device).publicKey!.raw }
  const own: Credential = { credentialType: 'basic', identity: Buffer.from(device) }

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
    async create(groupId: Uint8Array, packages: ReadonlyMap<string, Uint8Array>) {
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
        state: encodeGroupState(newState),
        welcome:
          welcome == null
            ? undefined
            : encodeMlsMessage({ welcome, wireformat: 'mls_welcome', version: 'mls10' })
      }
    },

    /** @throws {MalformedMessageError} a welcome that is not for this package */
    async join(
      welcome: Uint8Array,
      { publicBytes, privateBytes }: Pick<OwnPackage, 'publicBytes' | 'privateBytes'>
    ): Promise<Uint8Array> {
      const message = decodeMlsMessage(welcome, 0)?.[0]
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
      return encodeGroupState(state)
    },

    /** @throws {MalformedMessageError} the group has another id, or other members than these */
    check(state: Uint8Array, groupId: Uint8Array, devices: readonly string[]): void {
      const { groupContext, ratchetTree } = stateOf(state)
      const members = ratchetTree.flatMap(node => {
        if (node?.nodeType !== 'leaf' || node.leaf.credential.credentialType !== 'basic') return []
        return [Buffer.from(node.leaf.credential.identity).toString()]
      })
      if (!isEqual(groupContext.groupId, groupId))
        throw new MalformedMessageError('a welcome to another group')
      if ([...members].sort().join() !== [...devices].sort().join())
        throw new MalformedMessageError('a welcome to a group of others')
    },

    /** The next message of this device: the state must be kept before the message goes anywhere. */
    async seal(state: Uint8Array, data: Uint8Array): Promise<{ state: Uint8Array; message: Uint8Array }> {
      const { newState, privateMessage, consumed } = await createApplicationMessage(
        stateOf(state),
        padded(data),
        suite
      )
      const message = encodeMlsMessage({
        privateMessage,
        wireformat: 'mls_private_message',
        version: 'mls10'
      })
      const next = encodeGroupState(newState)
      consumed.forEach(zeroOutUint8Array)
      return { state: next, message }
    },

    /** @throws {MalformedMessageError} it is not for this group, was opened already, or is damaged */
    async open(state: Uint8Array, bytes: Uint8Array): Promise<{ state: Uint8Array; data: Uint8Array }> {
      const message = decodeMlsMessage(bytes, 0)?.[0]
      if (message?.wireformat !== 'mls_private_message')
        throw new MalformedMessageError('this is no message of a group')
      if (message.privateMessage.contentType !== 'application')
        throw new MalformedMessageError('nobody commits in a group')
      const opened = await processPrivateMessage(
        stateOf(state),
        message.privateMessage,
        emptyPskIndex,
        suite
      ).catch((error: Error) => {
        throw new MalformedMessageError(`a message cannot be opened: ${error.message}`)
      })
      if (opened.kind !== 'applicationMessage') throw new MalformedMessageError('nobody commits in a group')
      const data = unpadded(opened.message)
      const next = encodeGroupState(opened.newState)
      opened.consumed.forEach(zeroOutUint8Array)
      return { state: next, data }
    },

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

function packageOf(device: string, bytes: Uint8Array): KeyPackage {
  const message = decodeMlsMessage(bytes, 0)?.[0]
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
