import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
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

  it('takes .env in the data folder above the file and below the environment, with the names of the guide', async () => {
    await writeFile(file, '{"slots": 1, "gateway": {"port": 1}, "logLevel": "trace"}')
    const env = join(folder, '.env')
    await writeFile(
      env,
      `# of a school
SERVER_HOST=127.0.0.2
SERVER_PORT=8000
SECRET_KEY=${'k3'.repeat(20)}
DATABASE_URL=sqlite:///./messenger_prod.db
DEBUG=false
LOG_LEVEL=WARNING
export ARTEL_SLOTS="3" # cores
`
    )
    const config = load()
    assert.deepEqual([config.slots, config.gateway.port, config.logLevel], [3, 1, 'warn'])
    const { messenger } = config as any
    assert.deepEqual([messenger.listen, messenger.host, messenger.port], [true, '127.0.0.2', 8000])
    assert.equal(load({ environment: { ARTEL_DATA: folder, ARTEL_SLOTS: '4' } }).slots, 4)
    assert.equal(load({ environment: {}, flags: { data: folder, slots: '5' } }).slots, 5)
    await writeFile(env, 'DEBUG=true\nSERVER_PORT=8000\nARTEL_MESSENGER_PORT=8001')
    assert.deepEqual([load().logLevel, (load() as any).messenger.port], ['debug', 8001])
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

    it('a line of .env that nobody knows, and secrets that everybody knows', async () => {
      const env = join(folder, '.env')
      for (const [line, ...parts] of [
        ['ARTEL_SLOT=1', 'ARTEL_SLOT', 'Did you mean ARTEL_SLOTS?'],
        ['ARTEL_DATA=/elsewhere', 'ARTEL_DATA'],
        ['SERVERPORT=8000', 'SERVERPORT', 'Did you mean SERVER_PORT?'],
        ['ARTEL_SLOTS=many', 'slots', 'ARTEL_SLOTS in', '"many"'],
        ['SERVER_PORT=many', 'messenger.port', 'SERVER_PORT in', '"many"'],
        ['LOG_LEVEL=LOUD', 'logLevel', 'LOG_LEVEL in', '"loud"'],
        ['SECRET_KEY=short', 'SECRET_KEY'],
        ['SECRET_KEY=your-super-secret-key-here-change-me', 'SECRET_KEY'],
        ['SECRET_KEY=dev-secret-key-change-in-production', 'SECRET_KEY'],
        ['DATABASE_URL=postgresql://db/messenger', 'DATABASE_URL']
      ] as const) {
        await writeFile(env, `${line}\n`)
        await refused({}, env, ...parts)
      }
      await rm(env)
      await mkdir(env)
      await refused({}, env)
    })

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
