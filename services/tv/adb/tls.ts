import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import type { AdbKey } from './key.ts'

const SEQUENCE = 0x30
const SET = 0x31
const INTEGER = 0x02
const BITS = 0x03
const NULL = 0x05
const OBJECT_ID = 0x06
const UTF8 = 0x0c
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18
const VERSION = 0xa0

/** 1.2.840.113549.1.1.11 */
const SHA256_WITH_RSA = Buffer.from('2a864886f70d01010b', 'hex')
/** 2.5.4.3 */
const COMMON_NAME = Buffer.from('550403', 'hex')

/**
 * How a TV that demands TLS is spoken to: it knows this node by the key of its certificate, and has one of its own that
 * is made anew at every start and proves nothing, so that it is taken as it is, as `adb` does.
 */
export function tlsOptions(key: AdbKey) {
  const privateKey = createPrivateKey({ key: Buffer.from(key.buffer), format: 'der', type: 'pkcs8' })
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: pemOf(certificateOf(key)),
    minVersion: 'TLSv1.3' as const,
    rejectUnauthorized: false
  }
}

/**
 * X.509 around a key, signed by itself (RFC 5280), in DER. Valid always: boards start without a clock. By hand, for the
 * library that could make it (@peculiar/x509) takes 23 MB, of 110 that a node beside TVs has.
 */
export function certificateOf({ buffer }: AdbKey): Buffer {
  const key = createPrivateKey({ key: Buffer.from(buffer), format: 'der', type: 'pkcs8' })
  const algorithm = der(SEQUENCE, der(OBJECT_ID, SHA256_WITH_RSA), der(NULL))
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, der(OBJECT_ID, COMMON_NAME), der(UTF8, Buffer.from('Adb'))))
  )
  const validity = der(
    SEQUENCE,
    der(UTC_TIME, Buffer.from('700101000000Z')),
    der(GENERALIZED_TIME, Buffer.from('99991231235959Z'))
  )
  const signed = der(
    SEQUENCE,
    der(VERSION, der(INTEGER, Buffer.of(2))),
    der(INTEGER, Buffer.of(1)),
    algorithm,
    name,
    validity,
    name,
    createPublicKey(key).export({ type: 'spki', format: 'der' })
  )
  return der(SEQUENCE, signed, algorithm, der(BITS, Buffer.of(0), sign('sha256', signed, key)))
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const value = Buffer.concat(parts)
  if (value.length < 0x80) return Buffer.concat([Buffer.of(tag, value.length), value])
  const length = Buffer.from(value.length.toString(16).padStart(4, '0'), 'hex')
  return Buffer.concat([Buffer.of(tag, 0x82), length, value])
}

const pemOf = (bytes: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`
