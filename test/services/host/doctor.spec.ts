import { deepEqual, equal } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diagnose } from '../../../node/doctor.ts'
import { loadConfig } from '../../../node/index.ts'
import { type Check, type ServiceModule, service } from '../../../services/index.ts'

const checked = (name: string, checks: ServiceModule['checks']) =>
  service({ name, version: 1, summary: 'is looked at', operations: {}, checks }, async () => () => ({
    operations: {}
  }))

describe('services: what they need of a machine', () => {
  it('says artel doctor of those that are on, also where a check itself fails', async () => {
    const data = await mkdtemp(join(tmpdir(), 'artel-doctor-'))
    try {
      const flags = { data, 'files.enabled': true, 'vm.enabled': false, 'devices.enabled': true }
      const config = loadConfig({ environment: {}, flags })
      const room: Check = { name: 'room', state: 'warn', detail: 'little' }
      const checks = await diagnose(config, [
        checked('files', async function* (_, folder) {
          equal(folder, join(data, 'services', 'files'))
          yield room
        }),
        checked('vm', async function* () {
          yield room
        }),
        checked('devices', async function* () {
          yield room
          throw new Error('no such port')
        })
      ])
      deepEqual(checks.slice(-3), [
        { ...room, name: 'files: room' },
        { ...room, name: 'devices: room' },
        { name: 'devices', state: 'fail', detail: 'no such port' }
      ])
    } finally {
      await rm(data, { recursive: true, force: true })
    }
  })
})
