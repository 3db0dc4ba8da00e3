import { strict as assert } from 'node:assert'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { loadOrCreateIdentity } from '../../bootstrap/index.ts'

describe('bootstrap: identity', () => {
  let folder: string
  let file: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-identity-'))
    file = join(folder, 'data', 'key')
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('creates a key that only its owner may read, and keeps it', async () => {
    const first = await loadOrCreateIdentity(file)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const second = await loadOrCreateIdentity(file)
    assert.equal(second.peerId.toString(), first.peerId.toString())
    assert.deepEqual(await readdir(join(folder, 'data')), ['key'], 'no temporary file stays behind')
  })

  it('gives one identity to all who create it at the same time', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateIdentity(file)))
    assert.equal(new Set(all.map(({ peerId }) => peerId.toString())).size, 1)
  })

  it('refuses a damaged key, names the file, and leaves it alone', async () => {
    await loadOrCreateIdentity(file)
    const bytes = (await readFile(file)).subarray(0, 20)
    await writeFile(file, bytes)
    await assert.rejects(loadOrCreateIdentity(file), error => {
      assert.equal((error as Error).name, 'IdentityError')
      assert.match((error as Error).message, new RegExp(`${file}.*damaged.*backup`))
      return true
    })
    assert.deepEqual(await readFile(file), bytes)
  })

  it('refuses an empty file', async () => {
    await loadOrCreateIdentity(file)
    await writeFile(file, '')
    await assert.rejects(loadOrCreateIdentity(file), { name: 'IdentityError' })
  })

  it('refuses a key of another type', async () => {
    await loadOrCreateIdentity(file)
    await writeFile(file, privateKeyToProtobuf(await generateKeyPair('secp256k1')))
    await assert.rejects(loadOrCreateIdentity(file), {
      name: 'IdentityError',
      message: /secp256k1, expected Ed25519/
    })
  })

  it('refuses a key that others may read, and says how to mend it', async () => {
    await loadOrCreateIdentity(file)
    await chmod(file, 0o644)
    await assert.rejects(loadOrCreateIdentity(file), {
      name: 'IdentityError',
      message: /mode 644.*chmod 600/
    })
  })
})
