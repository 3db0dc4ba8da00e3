import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { createSigner, type Signer } from '../../../ledger/index.ts'
import { signAs } from '../../../services/messenger/core/codec.ts'
import { openRoster } from '../../../services/messenger/core/roster.ts'
import {
  type Body,
  FIRST_POLICY,
  type Kind,
  type Policy,
  type Role,
  signStatement,
  UNFOUNDED,
  type User,
  vouchFor
} from '../../../services/messenger/core/statement.ts'

/** A key of its own for each name. */
export async function keyOf(name: string): Promise<{ seed: Uint8Array; signer: Signer; id: string }> {
  const seed = new Uint8Array(32)
  seed.set(Buffer.from(name).subarray(0, 32))
  const signer = createSigner(await generateKeyPairFromSeed('Ed25519', seed))
  return { seed, signer, id: signer.account }
}
export type Key = Awaited<ReturnType<typeof keyOf>>

export const START_MS = Date.UTC(2026, 8, 1)

/** A school with an admin, to which people are added with one device each. */
export async function foundSchool(policy: Partial<Policy> = {}) {
  const admin = await keyOf('admin')
  const node = (name: string) => keyOf(`node of ${name}`)
  const founder: User = { id: 'admin', name: 'Admin', role: 'admin', classes: [], isDisabled: false }
  const peer = (await node('admin')).id
  const roster = openRoster(
    signStatement(admin.signer, {
      school: UNFOUNDED,
      n: 0,
      by: admin.id,
      timeMs: START_MS,
      kind: 'found',
      body: {
        name: 'School',
        user: founder,
        device: { user: 'admin', device: admin.id, peer, name: 'desk' },
        mailboxes: [peer],
        policy: { ...FIRST_POLICY, ...policy }
      }
    })
  )
  const sign = <K extends Kind>(by: Key, kind: K, body: Body<K>, n = roster.head + 1) =>
    signStatement(by.signer, { school: roster.school, n, by: by.id, timeMs: START_MS, kind, body } as never)
  const state = <K extends Kind>(by: Key, kind: K, body: Body<K>) => roster.append(sign(by, kind, body))

  async function deviceOf(user: string, name = user) {
    const key = await keyOf(name)
    const invite = await keyOf(`invite of ${name}`)
    const { id } = await node(name)
    const { signature } = signAs(invite.signer, 'vouch', vouchFor(roster.school, user, key.id, id))
    return { key, invite, body: { user, device: key.id, peer: id, name, vouch: signature } }
  }
  async function add(id: string, role: Role): Promise<Key> {
    const { key, invite, body } = await deviceOf(id)
    state(admin, 'users', {
      users: [{ id, name: id, role, classes: [], isDisabled: false, invite: invite.id }]
    })
    state(key, 'device', body)
    return key
  }
  return { roster, admin, sign, state, add, deviceOf }
}
