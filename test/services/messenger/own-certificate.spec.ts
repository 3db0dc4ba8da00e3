import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import {
  certificateFinding,
  certify,
  readCertificate
} from '../../../services/messenger/admin/certificate.ts'
import { LISTENER_TLS } from '../../../services/messenger/tls-files.ts'

const DAY_MS = 24 * 3_600_000
const now = Date.now()

describe('messenger: a certificate of its own', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-certificate-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const read = (name: string): Promise<string> => readFile(join(folder, LISTENER_TLS.folder, name), 'utf8')
  const make = (addresses: string[] = ['192.168.1.100', 'chat.school.lan'], isAnew = false) =>
    certify(folder, { school: 'School № 7, "west"', addresses, isAnew, now })
  /** What a computer says that trusts the authority, to a server with this certificate under this name. */
  async function greet(
    cert: string,
    key: string,
    servername: string,
    ca: string
  ): Promise<string | undefined> {
    const server = createServer({ cert, key }, socket => socket.end())
    server.on('tlsClientError', () => {})
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    // an address is no server name, and is compared all the same
    const client = connect({
      host: '127.0.0.1',
      port,
      ca,
      ...(/^[0-9.]+$/.test(servername) ? { checkServerIdentity: identityOf(servername) } : { servername })
    })
    try {
      await once(client, 'secureConnect')
      return undefined
    } catch (error) {
      return (error as Error).message
    } finally {
      client.destroy()
      server.close()
    }
  }
  const identityOf =
    (address: string) =>
    (_: string, { raw }: { raw: Buffer }) =>
      new X509Certificate(raw).checkIP(address) == null ? new Error(`not of ${address}`) : undefined

  it('is believed for its addresses by who trusts the authority, and by nobody else', async () => {
    const made = await make()
    assert.deepEqual(made.addresses, ['192.168.1.100', 'chat.school.lan', '127.0.0.1', 'localhost'])
    const [cert, key, ca] = await Promise.all(
      [LISTENER_TLS.certificate, LISTENER_TLS.key, LISTENER_TLS.authority].map(read)
    )
    for (const name of made.addresses) assert.equal(await greet(cert!, key!, name, ca!), undefined, name)
    assert.match(String(await greet(cert!, key!, 'other.school.lan', ca!)), /does not match/)
    const stranger = await mkdtemp(join(tmpdir(), 'artel-certificate-'))
    try {
      const other = await certify(stranger, { school: 'Other', addresses: [], isAnew: false, now })
      assert.notEqual(
        await greet(cert!, key!, 'localhost', await readFile(other.authority, 'utf8')),
        undefined
      )
    } finally {
      await rm(stranger, { recursive: true })
    }
    assert.equal(made.sha256, new X509Certificate(ca!).fingerprint256)
    for (const name of await readdir(join(folder, LISTENER_TLS.folder)))
      assert.equal((await stat(join(folder, LISTENER_TLS.folder, name))).mode & 0o077, 0, name)
  })

  it('is renewed by the same authority, unless another is asked for', async () => {
    const first = await make()
    const [before, authority] = [await read(LISTENER_TLS.certificate), await read(LISTENER_TLS.authority)]
    assert.equal((await make()).sha256, first.sha256)
    const renewed = await read(LISTENER_TLS.certificate)
    assert.notEqual(renewed, before)
    assert.equal(await greet(renewed, await read(LISTENER_TLS.key), 'localhost', authority), undefined)
    assert.notEqual((await make([], true)).sha256, first.sha256)
  })

  it('who has the key of the authority can speak for no address of the internet', async () => {
    await make()
    const ca = await read(LISTENER_TLS.authority)
    const signingKey = createPrivateKey(await read(LISTENER_TLS.authorityKey)).toCryptoKey(
      { name: 'ECDSA', namedCurve: 'P-256' },
      false,
      ['sign']
    ) as CryptoKey
    const forge = async (type: 'dns' | 'ip', value: string): Promise<string | undefined> => {
      const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
        'sign',
        'verify'
      ])
      const forged = await x509.X509CertificateGenerator.create({
        subject: [{ CN: ['bank'] }],
        issuer: new x509.X509Certificate(ca).subjectName,
        publicKey: keys.publicKey,
        signingKey,
        signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
        extensions: [new x509.SubjectAlternativeNameExtension([{ type, value }])]
      })
      const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
      const pem = createPrivateKey({ key, format: 'der', type: 'pkcs8' }).export({
        type: 'pkcs8',
        format: 'pem'
      })
      return greet(forged.toString('pem'), pem as string, value, ca)
    }
    assert.equal(await forge('dns', 'forged.school.lan'), undefined)
    assert.equal(await forge('dns', 'bank.example'), 'permitted subtree violation')
    assert.equal(await forge('ip', '8.8.8.8'), 'permitted subtree violation')
    for (const address of ['bank.example', '8.8.8.8', '::1', 'a b', '*.lan'])
      await assert.rejects(make([address]), { name: 'PolicyError', message: /no address of a LAN/ })
  })

  it('is looked at by the audit before it ends', async () => {
    const config = { listen: true, host: '192.168.1.100' }
    const state = async (days: number, host = config.host): Promise<string> => {
      const { pem, isOpen } = (await readCertificate(folder, { ...config, host }))!
      return certificateFinding(pem, isOpen, now + days * DAY_MS).state
    }
    assert.equal(await state(0), 'warn', 'nobody signs in from elsewhere')
    assert.equal(await state(0, '127.0.0.1'), 'ok')
    await make()
    assert.deepEqual(await Promise.all([state(0), state(800), state(826)]), ['ok', 'warn', 'fail'])
    assert.equal(await readCertificate(folder, { ...config, listen: false }), undefined)
  })
})
