import { deepEqual, equal } from 'node:assert/strict'
import { isSignedBy } from '../../../ledger/index.ts'
import { createNonces, signersOf } from '../../../services/host/index.ts'
import { signerFrom } from '../../ledger/helpers.ts'

const [ann, bob, eve] = ['ann', 'bob', 'eve'].map(signerFrom) as [
  ReturnType<typeof signerFrom>,
  ReturnType<typeof signerFrom>,
  ReturnType<typeof signerFrom>
]
const MINUTE_MS = 60_000

describe('host: signers', () => {
  it('are those who have signed exactly that, each once', () => {
    const bytes = Buffer.from('pay 12.50')
    const by = ({ account, sign }: typeof ann, domain = 'money', what = bytes) => ({
      signer: account,
      signature: sign(domain, what)
    })
    const of = (...signatures: ReturnType<typeof by>[]) => signersOf(bytes, 'money', signatures, isSignedBy)
    deepEqual(of(by(bob), by(ann)), [bob.account, ann.account])
    deepEqual(of(by(ann), by(ann)), [ann.account])
    deepEqual(of({ ...by(eve), signer: ann.account }), [])
    deepEqual(of(by(ann, 'command'), by(bob, 'money', Buffer.from('pay 125.0'))), [])
  })
})

describe('host: nonces', () => {
  it('are good for a minute, once, and for what they were given for', () => {
    let now = 0
    const nonces = createNonces(() => now)
    const [first, late, other] = [nonces.give('a'), nonces.give('a'), nonces.give('b')]
    deepEqual([nonces.use(first, 'a'), nonces.use(first, 'a')], [true, false])
    equal(nonces.use(undefined, 'a'), false)
    equal(nonces.use(new Uint8Array(16), 'a'), false, 'nobody gave it')
    equal(nonces.use(other, 'a'), false)
    now += MINUTE_MS + 1
    equal(nonces.use(late, 'a'), false)
    const old = nonces.give('a')
    for (let i = 0; i < 1_000; i++) nonces.give('a')
    equal(nonces.use(old, 'a'), false, 'so many are remembered')
  })
})
