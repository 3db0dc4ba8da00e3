import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { audit } from '../../../services/messenger/admin/audit.ts'
import { foundSchool } from './devices.ts'

describe('messenger: audit', () => {
  const accounts = { count: 3, adminsByPassword: [], outdated: 0 }
  const failures = new Map<string, number>()

  it('names keys that others may read, a single admin, two mailboxes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-audit-'))
    try {
      const { roster, admin, add, state } = await foundSchool()
      const states = async (kept: number): Promise<Record<string, string>> =>
        Object.fromEntries(
          (
            await audit(
              roster,
              folder,
              { copies: { kept, wanted: 2 }, accounts: undefined, certificate: undefined, failures },
              0
            )
          ).map(each => [each.name, each.state])
        )
      assert.deepEqual(await states(2), {
        files: 'ok',
        signIns: 'ok',
        admins: 'warn',
        mailboxes: 'ok',
        copies: 'ok'
      })

      const second = await add('eve', 'admin')
      state(admin, 'mailboxes', { mailboxes: [admin.id, second.id] })
      await writeFile(join(folder, 'device.key'), '', { mode: 0o600 })
      await chmod(join(folder, 'device.key'), 0o640)
      assert.deepEqual(await states(1), {
        files: 'fail',
        signIns: 'ok',
        admins: 'ok',
        mailboxes: 'warn',
        copies: 'warn'
      })

      const eve = { id: 'eve', name: 'eve', role: 'admin' as const, classes: [], isDisabled: true }
      state(admin, 'users', { users: [eve] })
      const found = await audit(
        roster,
        folder,
        { copies: { kept: 0, wanted: 0 }, accounts, certificate: undefined, failures },
        0
      )
      assert.deepEqual(
        found.map(each => each.state),
        ['fail', 'ok', 'ok', 'warn', 'warn', 'ok']
      )
      assert.match(String(found[0]!.remedy), /chmod go= .*device\.key/)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('names administrators with nothing but a password, and whence sign-ins fail', async () => {
    const { roster } = await foundSchool()
    const found = async (known: Partial<Parameters<typeof audit>[2]>) => {
      const all = await audit(
        roster,
        '/nowhere',
        {
          copies: { kept: 0, wanted: 0 },
          accounts,
          certificate: undefined,
          failures,
          ...known
        },
        0
      )
      return all.filter(({ name }) => ['passwords', 'signIns'].includes(name))
    }
    const byPassword = await found({ accounts: { ...accounts, adminsByPassword: ['Anna', 'Boris'] } })
    assert.deepEqual([byPassword[0]!.state, byPassword[1]!.state], ['warn', 'ok'])
    assert.match(String(byPassword[0]!.detail), /Anna, Boris/)
    assert.equal((await found({ accounts: { ...accounts, outdated: 1 } }))[0]!.state, 'warn')
    const many = new Map([
      ['10.0.0.1', 1],
      ['10.0.0.7 as Anna', 99]
    ])
    const [, guessed] = await found({ failures: many })
    assert.equal(guessed!.state, 'warn')
    assert.match(String(guessed!.detail), /100 .*10\.0\.0\.7 as Anna \(99\), 10\.0\.0\.1 \(1\)/)
  })
})
