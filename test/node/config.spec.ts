import { strict as assert } from 'node:assert'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { settingsMarkdown } from '../../node/cli/config.ts'
import { keepSettings } from '../../node/config-file.ts'
import { type Config, loadConfig } from '../../node/index.ts'
import { SETTINGS } from '../../node/settings.ts'
import { suggest } from '../../node/suggest.ts'

describe('node: config', () => {
  let folder: string
  let file: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-config-'))
    file = join(folder, 'config.json')
  })
  afterEach(() => rm(folder, { recursive: true }))

  const load = (sources: Parameters<typeof loadConfig>[0] = {}): Config =>
    loadConfig({ environment: { ARTEL_DATA: folder }, ...sources })

  it('listens on loopback only and tells the local network nothing by default', () => {
    const config = load()
    assert.deepEqual(config.listen, ['/ip4/127.0.0.1/tcp/0'])
    assert.equal(config.mdns, false)
    assert.deepEqual(config.trustedPeers, [])
    assert.equal(loadConfig({ environment: {} }).data, join(homedir(), '.artel'))
  })

  it('takes a file that begins with a byte order mark, and keeps settings in it', async () => {
    await writeFile(file, '\uFEFF{"slots": 3}')
    assert.equal(load().slots, 3)
    await keepSettings(file, load(), { priceMultiplier: 1 })
    assert.equal(load().slots, 3)
  })

  it('takes defaults, then the file, then the environment, then flags', async () => {
    const connections = (sources: Parameters<typeof loadConfig>[0]): number =>
      load(sources).limits.maxConnections
    const environment = { ARTEL_DATA: folder, ARTEL_LIMITS_MAX_CONNECTIONS: '30' }
    const flags = { 'limits.maxConnections': '40' }
    assert.equal(connections({}), 100)
    assert.equal(connections({ defaults: { limits: { maxConnections: 10 } } }), 10)
    await writeFile(file, '{"limits": {"maxConnections": 20, "pendingInbound": 7}}')
    assert.equal(connections({ defaults: { limits: { maxConnections: 10 } } }), 20)
    assert.equal(connections({ environment }), 30)
    assert.equal(connections({ environment, flags }), 40)
    assert.equal(load({ environment, flags }).limits.pendingInbound, 7, 'its neighbours stay')
  })

  it('reads lists, numbers and truth from text', () => {
    const environment = {
      ARTEL_LISTEN: '/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2',
      ARTEL_MDNS: '1',
      ARTEL_SLOTS: '3'
    }
    const config = loadConfig({ environment: { ...environment, ARTEL_DATA: folder } })
    assert.deepEqual(config.listen, ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/2'])
    assert.equal(config.mdns, true)
    assert.equal(config.slots, 3)
  })

  it('is frozen to the ground', () => {
    const config = load()
    assert.throws(() => (config.listen as string[]).push('x'), TypeError)
    assert.throws(() => Object.assign(config.limits, { maxConnections: 1 }), TypeError)
  })

  describe('refuses', () => {
    const refused = async (sources: Parameters<typeof loadConfig>[0], ...parts: string[]): Promise<void> => {
      assert.throws(
        () => load(sources),
        (error: Error) => {
          assert.equal(error.name, 'ConfigError')
          for (const part of parts)
            assert.ok(error.message.includes(part), `${error.message}\nshould have ${part}`)
          assert.ok(!error.message.includes('\n'), 'one line')
          return true
        }
      )
    }

    it('an unknown key in the file, with a suggestion', async () => {
      await writeFile(file, '{"lisen": []}')
      await refused({}, 'lisen', file, 'Did you mean listen?')
      await writeFile(file, '{"limits": {"maxConections": 1}}')
      await refused({}, 'limits.maxConections', 'Did you mean limits.maxConnections?')
      await writeFile(file, '{"__proto__": {}}')
      await refused({}, '"__proto__"', file)
    })

    it('an unknown variable, with a suggestion', () =>
      refused({ environment: { ARTEL_LOGLEVEL: 'info' } }, 'ARTEL_LOGLEVEL', 'Did you mean ARTEL_LOG_LEVEL?'))

    it('a wrong value, with its source', async () => {
      await writeFile(file, '{"slots": "many"}')
      await refused({}, 'slots', file, '"many"')
      await writeFile(file, '{}')
      await refused({ environment: { ARTEL_DATA: folder, ARTEL_SLOTS: '0' } }, 'slots', 'ARTEL_SLOTS', '0')
      await refused({ flags: { listen: ['nowhere'] } }, 'listen', '--listen', '"nowhere"', 'multiaddr')
      await refused({ flags: { seeds: ['/ip4/127.0.0.1/tcp/1'] } }, 'seeds', '--seed', 'peer id')
    })

    it('a file that is not there, not readable, or not an object', async () => {
      await refused({ file: join(folder, 'none.json') }, 'none.json')
      await writeFile(file, '{"data"')
      await refused({}, file, 'JSON')
      await writeFile(file, '[]')
      await refused({}, file, 'no object')
    })

    it('any JSON that is not a config, and never with another error', async () => {
      await fc.assert(
        fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), async settings => {
          fc.pre(!Object.keys(settings).every(key => SETTINGS.some(({ path }) => path[0] === key)))
          await writeFile(file, JSON.stringify(settings))
          assert.throws(() => load(), { name: 'ConfigError' })
        }),
        { numRuns: 100 }
      )
    })
  })

  it('is documented as it is', async () => {
    const readme = await readFile(new URL('../../node/README.md', import.meta.url), 'utf8')
    // however a formatter has aligned it
    const bare = (table: string): string => table.replace(/ +/g, ' ').replace(/-+/g, '-')
    assert.ok(
      bare(readme).includes(bare(settingsMarkdown())),
      'run: npm run artel -- config --markdown, and put it into node/README.md'
    )
  })

  it('suggests the nearest word, or nothing', () => {
    assert.equal(suggest('lsiten', ['listen', 'seeds']), 'listen')
    assert.equal(suggest('colour', ['listen', 'seeds']), undefined)
  })
})
