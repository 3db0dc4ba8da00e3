import { strict as assert } from 'node:assert'
import { createSandbox, encodeValue, type Sandbox } from '../../sandbox/index.ts'
import { limits, read, sandboxCompliance } from '../compliance/sandbox.ts'
import { descendants, eventually } from './processes.ts'

sandboxCompliance('behind the walls', () => createSandbox())
sandboxCompliance('without those of the operating system', () => createSandbox({ toolPath: '' }))

describe('sandbox', () => {
  const started: Sandbox[] = []
  const create = async (init: Parameters<typeof createSandbox>[0]) => {
    const sandbox = createSandbox(init)
    started.push(sandbox)
    await sandbox.start()
    return sandbox
  }
  afterEach(() => Promise.all(started.splice(0).map(sandbox => sandbox.stop())))
  const identity = { kind: 'function', source: 'x => x' } as const

  it('has every wall here: otherwise install what is named', async () => {
    const sandbox = await create({ warm: 0 })
    assert.deepStrictEqual(
      sandbox.walls.filter(wall => !wall.present),
      []
    )
    assert.equal(sandbox.walled, true)
  })

  it('takes no stranger where a wall is missing, says which and how to get it, and still runs the trusted', async () => {
    const sandbox = await create({ toolPath: '', warm: 0 })
    assert.equal(sandbox.walled, false)
    assert.deepStrictEqual(
      sandbox.walls.filter(wall => !wall.present).map(wall => wall.name),
      ['limits', 'namespaces', 'seccomp']
    )
    await assert.rejects(sandbox.open(identity, { limits, requester: 'stranger' }), error => {
      assert.equal((error as Error).name, 'WallMissingError')
      assert.match((error as Error).message, /bubblewrap.*install-debian-packages\.sh/)
      return true
    })
    const session = await sandbox.open(identity, { limits, requester: 'owner', trusted: true })
    assert.deepStrictEqual((await session.run([encodeValue(1)])).map(read), [1])
  })

  it('opens no more children than it may, and lets the next one in when one leaves', async () => {
    const sandbox = await create({ warm: 0, maxProcesses: 1 })
    const first = await sandbox.open(identity, { limits, requester: 'a' })
    const abort = new AbortController()
    const refused = sandbox.open(identity, { limits, requester: 'b', signal: abort.signal })
    const second = sandbox.open(identity, { limits, requester: 'c' })
    abort.abort()
    await assert.rejects(refused, { name: 'AbortError' })
    await first.close()
    assert.deepStrictEqual((await (await second).run([encodeValue(2)])).map(read), [2])
  })

  it('leaves no process behind when it stops, whatever was going on', async () => {
    const sandbox = await create({ warm: 2 })
    const session = await sandbox.open(
      { kind: 'function', source: 'x => { for (;;); }' },
      { limits, requester: 'a' }
    )
    const running = session.run([encodeValue(1)])
    assert.ok(descendants(process.pid).length >= 2)
    await sandbox.stop()
    assert.equal(read((await running)[0]!) !== undefined, true)
    await eventually('no child is left', () => descendants(process.pid).length === 0)
  })

  it('keeps no process while nobody wants one, where it is told to be lazy', async () => {
    const sandbox = await create({ warm: 2, lazy: true })
    assert.equal(sandbox.walled, true)
    await eventually('the one that was looked at is gone', () => descendants(process.pid).length === 0)
    const session = await sandbox.open(identity, { limits, requester: 'a' })
    assert.deepStrictEqual((await session.run([encodeValue(1)])).map(read), [1])
    await session.close()
    await eventually('two are warm', () => descendants(process.pid).length >= 2)
  })

  it('refuses work before it is started', async () => {
    await assert.rejects(createSandbox().open(identity, { limits, requester: 'a' }), {
      name: 'SandboxUnavailableError'
    })
  })
})
