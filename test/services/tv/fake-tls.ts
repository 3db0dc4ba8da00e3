import { generateKeyPairSync } from 'node:crypto'
import { tlsOptions } from '../../../services/tv/adb/tls.ts'

let made: Buffer | undefined

/** A TV's end of TLS: a certificate of its own, and it wants one of who comes. */
export function fakeTls() {
  made ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    type: 'pkcs8',
    format: 'der'
  })
  return { ...tlsOptions({ buffer: made, name: '' }), requestCert: true }
}
