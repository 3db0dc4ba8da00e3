import { strict as assert } from 'node:assert'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { connectControl } from '../../node/control.ts'
import { until } from '../bootstrap/nodes.ts'

/** Writes the packages whose files the process loaded, and our own files, at its end. */
const TELL = `import { registerHooks } from 'node:module'
const loaded = new Set()
registerHooks({
  load(url, context, next) {
    const [, name] = /(?:node_modules|vendor\\/dist)\\/((?:@[^/]+\\/)?[^/]+?)(?:\\.js)?(?:\\/|$)/.exec(url) ?? []
    if (name != null) loaded.add(name)
    else loaded.add(url.replace(/^.*\\/(?=(?:sandbox|scheduler|ledger|services|node|bootstrap)\\/)/, ''))
    return next(url, context)
  }
})
process.on('exit', () => console.error(JSON.stringify([...loaded])))`

const preload = `data:text/javascript,${encodeURIComponent(TELL)}`

describe('cli: what a command loads', () => {
  for (const command of ['--version', 'map --help']) {
    it(`artel ${command} loads nothing that only a node needs`, async () => {
      const args = ['--import', preload, 'node/cli/artel.js', ...command.split(' ')]
      const { stderr } = await promisify(execFile)(process.execPath, args)
      const loaded: string[] = JSON.parse(stderr)
      assert.ok(loaded.includes('commander'))
      const heavy = ['libp2p', '@libp2p/kad-dht', 'helia', '@orbitdb/core', 'fastify', 'isolated-vm']
      assert.deepEqual(
        heavy.filter(name => loaded.includes(name)),
        []
      )
    })
  }

  it('a package that the bundle leaves out finds what it has within itself', async () => {
    // it imports `#module-sync-enabled`, which a URL takes for a fragment: the folder of the bundle was read for it
    const args = ['--import', './node/vendor/hook.js', '--input-type=module', '-e', "await import('vite')"]
    await promisify(execFile)(process.execPath, args)
  })

  it('a package gets the version of a library that it has within itself, not the one of the bundle', async () => {
    const whose = ['node/create-node.ts', 'node_modules/libp2p/', 'node_modules/@chainsafe/libp2p-noise/']
    const code = `for (const place of ${JSON.stringify(whose)})
      console.log(import.meta.resolve('uint8arraylist', new URL(place, '${pathToFileURL('./')}').href))`
    const args = ['--experimental-import-meta-resolve', '--import', './node/vendor/hook.js']
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...args,
      '--input-type=module',
      '-e',
      code
    ])
    const found = stdout.trim().split('\n')
    assert.match(found[0]!, /node\/vendor\/dist\/uint8arraylist\.js$/)
    assert.equal(found[1], found[0])
    assert.match(found[2]!, /libp2p-noise\/node_modules\/uint8arraylist\//)
  })

  it('artel start --profile device keeps a log, also after a start, and loads nothing of jobs, blocks and accounts', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-light-'))
    const flags = ['--profile', 'device', '--data', folder, '--devices-enabled', '--host-metrics-enabled']
    try {
      for (const isAgain of [false, true]) {
        const args = [
          '--import',
          preload,
          'node/cli/artel.js',
          'start',
          '--json',
          '--log-level',
          'error',
          ...flags
        ]
        const node = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
        const said = text(node.stderr)
        try {
          await once(node.stdout, 'data')
          node.stdout.resume()
          const control = await connectControl(folder)
          const call = <T>(operation: string): Promise<T> =>
            control.call({ service: 'devices', operation, input: {} }) as Promise<T>
          await until(
            async () => (await call<{ items: unknown[] }>('list')).items.length === 1,
            'this computer is a device'
          )
          const own = async () => (await call<{ own: { number: number; last: number } }>('status')).own
          await until(async () => (await own()).last >= (isAgain ? 2 : 0), 'it goes on')
          assert.equal((await own()).number, 0)
          control.close()
        } finally {
          node.kill()
          await once(node, 'exit')
        }
        const loaded: string[] = JSON.parse((await said).trim().split('\n').at(-1)!)
        assert.ok(loaded.includes('services/devices/create-service.ts'))
        const heavy = [
          ...['helia', '@helia/bitswap', 'blockstore-level', '@orbitdb/core', 'fastify', 'isolated-vm'],
          ...['acorn', 'eslint-scope', 'pino-pretty', 'undici'],
          ...['node/create-node.ts', 'node/repair-data.ts'],
          ...['sandbox/index.ts', 'scheduler/index.ts', 'scheduler/create-scheduler.ts', 'ledger/ledger.ts'],
          ...['services/compute/create-compute.ts', 'services/gateway/index.ts']
        ]
        assert.deepEqual(
          loaded.filter(
            name =>
              heavy.includes(name) || /^scheduler\/(coordinator|jobs|store|streams|tasks\/kinds)\//.test(name)
          ),
          []
        )
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
