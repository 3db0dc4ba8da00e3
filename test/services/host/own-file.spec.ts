import { equal, rejects } from 'node:assert/strict'
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSwitchedOn } from '../../../services/devices/commands/switch.ts'
import { readOwnFile } from '../../../services/host/index.ts'

describe('host: a file of its owner alone', () => {
  let folder: string
  let path: string
  const errors: string[] = []
  const log = Object.assign(() => {}, {
    error: (text: string, ...rest: unknown[]) => void errors.push([text, ...rest].join(' '))
  })
  const isOn = (): Promise<boolean> => isSwitchedOn(folder, { device: 'valve:1', name: 'empty' }, log)

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-own-'))
    path = join(folder, 'risk-3')
    errors.length = 0
    await writeFile(path, 'valve:* empty\n', { mode: 0o600 })
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('is read, and switches a command on', async () => {
    equal(await readOwnFile(path, 100), 'valve:* empty\n')
    equal(await isOn(), true)
    equal(await isSwitchedOn(folder, { device: 'pump:1', name: 'empty' }, log), false)
  })

  it('counts no more where others can read it, where it is a link, too long, or gone', async () => {
    await rejects(readOwnFile(path, 10), /at most 10/)
    await chmod(path, 0o640)
    await rejects(readOwnFile(path, 100), /chmod 600/)
    equal(await isOn(), false)
    equal(errors.length, 1)
    await rm(path)
    await rejects(readOwnFile(path, 100), { code: 'ENOENT' })
    equal(await isOn(), false)
    equal(errors.length, 1, 'that it is not there is nothing wrong')
    await writeFile(join(folder, 'elsewhere'), 'valve:* empty\n', { mode: 0o600 })
    await symlink(join(folder, 'elsewhere'), path)
    await rejects(readOwnFile(path, 100), { code: 'ELOOP' })
    equal(await isOn(), false)
  })

  it('of somebody else counts for nobody', async () => {
    const { getuid } = process
    // only root can give a file away, and tests need not be root
    process.getuid = () => getuid!() + 1
    try {
      await rejects(readOwnFile(path, 100), /not of the user/)
      equal(await isOn(), false)
    } finally {
      process.getuid = getuid
    }
  })
})
