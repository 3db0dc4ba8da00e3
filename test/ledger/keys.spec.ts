import { strict as assert } from 'node:assert'
import { createPublicKey, verify } from 'node:crypto'
import { isSignedBy, keyOf } from '../../ledger/records/keys.ts'
import { signerFrom } from './helpers.ts'

describe('ledger: keys', () => {
  const signer = signerFrom('somebody')
  const { account } = signer
  const message = Uint8Array.of(1, 2, 3)
  const signature = signer.sign('order', message)

  it("signs what node:crypto verifies with the account's key", () => {
    const x = Buffer.from(keyOf(account)).toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    assert.ok(verify(null, Buffer.from('order\0\u0001\u0002\u0003'), key, signature))
  })

  it('knows a good signature again, and nothing that differs from it in one place', () => {
    for (let time = 0; time < 2; time++) assert.ok(isSignedBy(account, 'order', message, signature))
    const flipped = signature.slice()
    flipped[9]! ^= 1
    assert.ok(!isSignedBy(account, 'order', message, flipped))
    assert.ok(!isSignedBy(account, 'order', Uint8Array.of(1, 2, 4), signature))
    assert.ok(!isSignedBy(account, 'order', Uint8Array.of(1, 2), signature))
    assert.ok(!isSignedBy(account, 'vote', message, signature))
    assert.ok(!isSignedBy(signerFrom('another').account, 'order', message, signature))
    assert.ok(!isSignedBy(account, 'order', message, signature.subarray(1)))
  })

  it('verifies long messages, which it does not remember', () => {
    const long = new Uint8Array(100_000).fill(7)
    const long2 = long.slice()
    long2[99_999] = 8
    const signed = signer.sign('entry', long)
    for (let time = 0; time < 2; time++) {
      assert.ok(isSignedBy(account, 'entry', long, signed))
      assert.ok(!isSignedBy(account, 'entry', long2, signed))
    }
  })
})
