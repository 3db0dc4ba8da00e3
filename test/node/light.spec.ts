import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Writes the packages whose files the process loaded, at its end. */
const TELL = `import { registerHooks } from 'node:module'
const loaded = new Set()
registerHooks({
  load(url, context, next) {
    const [, name] = /(?:node_modules|vendor\\/dist)\\/((?:@[^/]+\\/)?[^/]+?)(?:\\.js)?(?:\\/|$)/.exec(url) ?? []
    if (name != null) loaded.add(name)
    return next(url, context)
  }
})
process.on('exit', () => console.error(JSON.stringify([...loaded])))`

describe('cli: what a command loads', () => {
  for (const command of ['--version', 'map --help']) {
    it(`artel ${command} loads nothing that only a node needs`, async () => {
      const preload = `data:text/javascript,${encodeURIComponent(TELL)}`
      const args = ['--import', preload, 'node/cli/artel.js', ...command.split(' ')]
      const { stderr } = await promisify(execFile)(process.execPath, args)
      const loaded: string[] = JSON.parse(stderr)
      assert.ok(loaded.includes('commander'))
      const heavy = ['libp2p', '@libp2p/kad-dht', 'helia', '@orbitdb/core', 'fastify', 'isolated-vm']
      assert.deepEqual(
        heavy.filter(name => loaded.includes(name)),
        []
      )
    }).timeout(120_000)
  }
})
