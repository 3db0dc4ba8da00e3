import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { audit } from '../../../services/messenger/admin/audit.ts'
import { foundSchool } from './devices.ts'

describe('messenger: audit', () => {
  it('names keys that others may read, a single admin, two mailboxes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-audit-'))
    try {
      const { roster, admin, add, state } = await foundSchool()
      const states = async (kept: number): Promise<Record<string, string>> =>
        Object.fromEntries(
          (await audit(roster, folder, { kept, wanted: 2 })).map(each => [each.name, each.state])
        )
      assert.deepEqual(await states(2), { files: 'ok', admins: 'warn', mailboxes: 'ok', copies: 'ok' })

      const second = await add('eve', 'admin')
      state(admin, 'mailboxes', { mailboxes: [admin.id, second.id] })
      await writeFile(join(folder, 'device.key'), '', { mode: 0o600 })
      await chmod(join(folder, 'device.key'), 0o640)
      assert.deepEqual(await states(1), { files: 'fail', admins: 'ok', mailboxes: 'warn', copies: 'warn' })

      const eve = { id: 'eve', name: 'eve', role: 'admin' as const, classes: [], isDisabled: true }
      state(admin, 'users', { users: [eve] })
      const found = await audit(roster, folder, { kept: 0, wanted: 0 })
      assert.deepEqual(
        found.map(each => each.state),
        ['fail', 'warn', 'warn', 'ok']
      )
      assert.match(String(found[0]!.remedy), /chmod go= .*device\.key/)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
