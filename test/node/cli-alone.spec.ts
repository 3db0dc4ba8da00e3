import { strict as assert } from 'node:assert'
import { readFile, writeFile } from 'node:fs/promises'
import { EXIT } from '../../node/index.ts'
import { ownAddress, until } from '../bootstrap/nodes.ts'
import { Processes } from './processes.ts'

describe('cli: alone', () => {
  let processes: Processes
  before(async () => {
    processes = await Processes.create()
  })
  after(() => processes.stop())

  it('says that there are no peers, keeps trying, and joins when the seed comes', async () => {
    const { listen } = ownAddress()
    const first = processes.start('seed', 'late', ['--listen', listen])
    const [address] = (await first.ready).addresses
    await first.end()
    const node = processes.start('start', 'early', ['--seed', address!])
    await until(() => /no peers/.test(node.stderr()), 'it says so')
    const again = processes.start('seed', 'late', ['--listen', listen])
    assert.equal((await node.ready).network, (await again.ready).network)
    await node.end()
    await again.end()
  })

  it('ends on Ctrl-C also while it waits for a seed', async () => {
    // port 1 has no listener on any machine that runs tests
    const address = `/ip4/127.0.0.1/tcp/1/p2p/12D3KooWJFJFDPMB4hzULGGW1ApJVKLCxbbzYvZZyNmTkBHivEBn`
    const node = processes.start('start', 'waiting', ['--seed', address])
    await until(() => /no peers/.test(node.stderr()), 'it says so')
    assert.equal((await node.end('SIGTERM')).code, 0)
  })

  describe('answers with one line and a code', () => {
    const cases: [string, string[], number, RegExp][] = [
      ['an unknown flag', ['start', '--lissten', 'x'], EXIT.usage, /--lissten.*--listen/],
      ['an unknown command', ['strat'], EXIT.usage, /strat.*start/],
      ['a missing argument', ['run'], EXIT.usage, /file/],
      ['a wrong setting', ['start', '--slots', 'many'], EXIT.usage, /slots.*--slots.*many/],
      ['a config that is not there', ['start', '--config', 'none.json'], EXIT.usage, /none\.json/],
      ['a task that is not there', ['run', 'none.json'], EXIT.usage, /none\.json/],
      ['a definition that is not there', ['start', '--network', 'none.json'], EXIT.usage, /none\.json/],
      ['no running node', ['peers'], EXIT.network, /no node is running.*artel start/],
      ['a wrong limit', ['jobs', '--limit', '0'], EXIT.usage, /--limit.*"0"/],
      ['a wrong state', ['jobs', '--state', 'done'], EXIT.usage, /--state.*done.*completed/],
      ['an unknown shell', ['completion', 'tcsh'], EXIT.usage, /tcsh.*bash, zsh, fish/],
      ['a module that is not there', ['map', './none.js'], EXIT.usage, /none\.js/],
      ['a wrong seed', ['start', '--seed', '127.0.0.1'], EXIT.usage, /--seed.*artel seed.*127\.0\.0\.1/],
      ['a wrong amount', ['network', 'create', '--name', 'x', '--grant', '-1'], EXIT.usage, /--grant.*-1/]
    ]
    for (const [name, args, exit, message] of cases) {
      it(`: ${name}`, async () => {
        const { code, stderr, stdout } = await processes.run(args)
        assert.match(stderr, message)
        assert.match(stderr, /^artel: [^\n]*\n$/)
        assert.equal(code, exit, stderr)
        assert.equal(stdout, '')
      })
    }

    it(': a damaged key file, with the stack only for who asks', async () => {
      await processes.run(['network', 'create', '--name', 'x', '--data', 'damaged'])
      await writeFile(processes.path('damaged/key'), 'not a key')
      const args = ['start', '--data', 'damaged', '--network', 'x.json']
      const { code, stderr } = await processes.run(args)
      assert.match(stderr, /^artel: .*damaged\/key is damaged.*backup[^\n]*\n$/)
      assert.equal(code, EXIT.machine)
      assert.equal(await readFile(processes.path('damaged/key'), 'utf8'), 'not a key')
      assert.match((await processes.run([...args, '--verbose'])).stderr, /\n +at /)
      const doctor = await processes.run(['doctor', '--data', 'damaged'])
      assert.match(doctor.stdout, /^FAIL {2}key .*damaged\/key/m)
      assert.equal(doctor.code, EXIT.machine)
    })
  })

  it('makes, shows, signs and refuses network definitions', async () => {
    const json = async (args: string[]) => JSON.parse((await processes.run([...args, '--json'])).stdout)
    const made = await json(['network', 'create', '--name', 'lab', '--data', 'founder'])
    assert.equal(made.witnesses[0], made.founder)
    assert.match(made.preSharedKey, /^[0-9a-f]{64}$/)
    assert.deepEqual(await json(['network', 'show', 'lab.json']), made)
    const edited = { ...made, grant: { amount: '5000000', powBits: 0 } }
    await writeFile(processes.path('lab.json'), JSON.stringify(edited))
    const refused = await processes.run(['network', 'show', 'lab.json'])
    assert.match(refused.stderr, /not signed by its founder/)
    assert.equal(refused.code, EXIT.usage)
    const stranger = await processes.run(['network', 'sign', 'lab.json', '--data', 'stranger'])
    assert.match(stranger.stderr, /signed by its founder/)
    const signed = await json(['network', 'sign', 'lab.json', '--data', 'founder'])
    assert.equal(signed.epoch, 2)
    assert.match((await processes.run(['network', 'show', 'lab.json'])).stdout, /5 credits/)
  })

  it('prints help on standard output, also by `artel help`', async () => {
    const help = await processes.run(['run', '--help'])
    assert.equal(help.code, 0)
    assert.match(help.stdout, /^Usage: artel run .*\n[\s\S]*\nExamples:\n {2}/)
    assert.equal((await processes.run(['help', 'run'])).stdout, help.stdout)
  })

  it('keeps settings for the next start where no node runs', async () => {
    const set = (...args: string[]) => processes.run(['config', 'set', ...args, '--data', 'kept'])
    assert.equal((await set('quietHours', '22:00-07:00,12:00-13:00')).code, 0)
    assert.equal((await set('gateway.port', '9000')).stdout, 'gateway.port is 9000 from now on\n')
    assert.deepEqual(JSON.parse(await readFile(processes.path('kept/config.json'), 'utf8')), {
      quietHours: ['22:00-07:00', '12:00-13:00'],
      gateway: { port: 9000 }
    })
    const get = await processes.run(['config', 'get', 'quietHours', '--json', '--data', 'kept'])
    assert.deepEqual(JSON.parse(get.stdout), ['22:00-07:00', '12:00-13:00'])
    const wrong = await set('slotz', '2')
    assert.match(wrong.stderr, /^artel: "slotz" is not a setting\. Did you mean slots\?/)
    assert.equal(wrong.code, EXIT.usage)
  })

  it('does not replace a definition without a yes', async () => {
    const create = (...args: string[]) => processes.run(['network', 'create', '--name', 'twice', ...args])
    assert.equal((await create()).code, 0)
    const before = await readFile(processes.path('twice.json'), 'utf8')
    const again = await create('--grant', '5')
    assert.match(again.stderr, /^artel: twice\.json is there already.*--yes[^\n]*\n$/)
    assert.equal(again.code, EXIT.usage)
    assert.equal(await readFile(processes.path('twice.json'), 'utf8'), before)
    assert.equal((await create('--yes', '--grant', '5')).code, 0)
  })

  it('has colours only where they are wanted', async () => {
    const doctor = async (args: string[], env: Record<string, string>) =>
      (await processes.run(['doctor', ...args], { env })).stdout.includes('\u001b')
    assert.equal(await doctor([], { FORCE_COLOR: '1' }), true)
    assert.equal(await doctor([], {}), false)
    assert.equal(await doctor([], { FORCE_COLOR: '1', NO_COLOR: '1' }), false)
    assert.equal(await doctor(['--no-color'], { FORCE_COLOR: '1' }), false)
  })

  it('takes settings from the environment', async () => {
    const { stdout } = await processes.run(['config', '--json'], { env: { ARTEL_SLOTS: '3' } })
    assert.equal(JSON.parse(stdout).slots, 3)
    const wrong = await processes.run(['config'], { env: { ARTEL_SLOT: '3' } })
    assert.match(wrong.stderr, /ARTEL_SLOT.*ARTEL_SLOTS/)
  })
})
