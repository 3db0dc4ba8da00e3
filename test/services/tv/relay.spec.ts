import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openDatabase } from '../../../services/host/index.ts'
import { createActs } from '../../../services/tv/acts.ts'
import { relayOf } from '../../../services/tv/place.ts'
import { openRelay, type Relay } from '../../../services/tv/relay.ts'
import { MIGRATIONS } from '../../../services/tv/schema.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createRandom } from '../../simulation/random.ts'
import { FakeMains } from './fake-mains.ts'
import { createFleet } from './fleet.ts'

const HOUR_MS = 3_600_000
// who holds a line is asked of the machine, where another run of this file may be under way
const CHIP = `gpiochip${process.pid}`
const place = relayOf(`tv-1 ${CHIP}:17 active-low`)!
const { signal } = new AbortController()
const CUT = fileURLToPath(new URL('./cut-power.ts', import.meta.url))

describe('tv: power by a relay', function () {
  this.timeout(600_000)
  const before = { ...process.env }
  let mains: FakeMains
  let folder: string
  beforeEach(async () => {
    mains = new FakeMains()
    folder = await mkdtemp(join(tmpdir(), 'artel-relay-'))
    Object.assign(process.env, mains.environment)
  })
  afterEach(async () => {
    process.env.PATH = before.PATH
    delete process.env.FAKE_GPIO
    await mains[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  const database = () => openDatabase(join(folder, 'relay.db'), MIGRATIONS)

  it('reads its place as the settings have it', () => {
    deepEqual(place, { tv: 'tv-1', chip: CHIP, line: 17, isActiveLow: true })
    for (const text of [
      'tv-1',
      'tv-1 gpiochip0',
      'tv-1 gpiochip0:x',
      'tv-1 a:1 active-high',
      'tv-1 a:1;reboot'
    ])
      equal(relayOf(text), undefined)
  })

  it('holds its line for a time and no longer, and not before it was off long enough', async () => {
    const relay = await openRelay({ place, db: database(), minOffSeconds: 1, now: Date.now })
    equal(relay.state, 'on')
    const at = Date.now()
    await relay.off(3600)
    equal(relay.state, 'off')
    await until(() => mains.calls().length === 1, 'the line is held')
    await rejects(relay.off(1), { name: 'TvFailedError', message: /no power already/ })
    await relay.on(signal)
    ok(Date.now() - at >= 1000, 'it was off for a second')
    const isOn = () => deepEqual([relay.state, mains.holder(CHIP, 17)], ['on', undefined])
    isOn()
    // well beyond the second after which a line counts as held
    await relay.off(3)
    await relay.isBack(signal)
    isOn()
    deepEqual(mains.calls(), [
      `--mode=time --sec=3600 --active-low ${CHIP} 17=1`,
      `--mode=time --sec=3 --active-low ${CHIP} 17=1`
    ])
  })

  it('says why where the line cannot be had', async () => {
    // a busy machine says late what goes wrong
    const relay = await openRelay({ place, db: database(), heldAfterMs: 120_000, now: Date.now })
    const words = ['--mode=time', '--sec=3600', CHIP, '17=1']
    const other = spawn('gpioset', words, { stdio: 'ignore' })
    const gone = once(other, 'exit')
    await until(() => mains.holder(CHIP, 17) != null, 'somebody holds it')
    await rejects(relay.off(1), { name: 'TvFailedError', message: /busy/ })
    equal((await openRelay({ place, db: database(), now: Date.now })).state, 'off', 'whoever holds it')
    other.kill('SIGTERM')
    await gone
    process.env.PATH = '/nowhere'
    await rejects(relay.off(1), { name: 'TvFailedError', message: /ENOENT.*gpiod/ })
  })

  it('leaves a TV its power while it installs', async () => {
    const installing = Promise.withResolvers<{ out: Uint8Array; err: Uint8Array; code: number }>()
    const link = {
      lamp: 'shell',
      run: (line: string) => (line.startsWith('pm') ? installing.promise : Promise.resolve({}))
    }
    const relay = await openRelay({ place, db: database(), minOffSeconds: 1, now: Date.now })
    const acts = createActs({ link: link as never, files: {} as never, relay, look: async () => ({}) })
    const installed = acts['apps.install']!({ path: '/data/local/tmp/a.apk' }, { signal })
    await rejects(acts['power.off']!({ seconds: 60 }, { signal }), { message: /being updated/ })
    installing.resolve({ out: Buffer.from('Success\n'), err: new Uint8Array(), code: 0 })
    await installed
    await acts['power.off']!({ seconds: 60 }, { signal })
    equal(relay.state, 'off')
  })

  it('is cut six times an hour at most, whatever is asked in whatever order, also after crashes', async () => {
    const random = createRandom(11)
    let now = 1_800_000_000_000
    const cuts: number[] = []
    // nobody else wants the line
    const open = () => openRelay({ place, db: database(), minOffSeconds: 1, heldAfterMs: 50, now: () => now })
    let relay: Relay = await open()
    for (let i = 0; i < 40; i++) {
      now += Math.floor(random() * HOUR_MS * 0.12)
      const what = random()
      if (what < 0.2) {
        // what a crash leaves: another one opens the same files
        relay = await open()
      } else if (what < 0.8 && mains.calls().length < 14) {
        const isTooOften = cuts.filter(at => at > now - HOUR_MS).length >= 6
        if (isTooOften) await rejects(relay.off(3600), { name: 'TvFailedError', message: /within an hour/ })
        else {
          await relay.off(3600)
          cuts.push(now)
          // one that is ended before it holds its line leaves a child that looks like it
          await until(() => mains.calls().length === cuts.length, 'the line is held')
          now += 1000
          await relay.on(signal)
        }
      }
      equal(relay.state, 'on')
    }
    ok(cuts.length >= 7, 'some hours were full')
    for (const at of cuts) ok(cuts.filter(each => each > at - HOUR_MS && each <= at).length <= 6)
  })

  it('gives power back in time where its node was killed, and knows then who holds the line', async () => {
    async function cutAndKilled(seconds: number): Promise<Relay> {
      const child = spawn(process.execPath, [CUT, CHIP, join(folder, 'relay.db'), `${seconds}`], {
        stdio: 'inherit'
      })
      const ended = once(child, 'exit')
      await until(() => mains.calls().some(call => call.includes(`--sec=${seconds} `)), 'the power is cut')
      child.kill('SIGKILL')
      await ended
      return openRelay({ place, db: database(), minOffSeconds: 1, now: Date.now })
    }
    await (await cutAndKilled(2)).isBack(signal)
    await until(() => mains.holder(CHIP, 17) == null, 'the power is back')
    const relay = await cutAndKilled(3600)
    equal(relay.state, 'off')
    await rejects(relay.off(1), { name: 'TvFailedError' })
    // who would give it back is killed, too
    process.kill(mains.holder(CHIP, 17)!, 'SIGKILL')
    await until(() => relay.state === 'on', 'the line has fallen back')
  })

  it('takes no other process for the one that held the line, though it has its number', async () => {
    // one process: at first it looks like who holds the line, and then it is another program
    const script = 'read go; exec sleep 600'
    const child = spawn('sh', ['-c', script, 'gpioset', CHIP, '17=1'], {
      stdio: ['pipe', 'ignore', 'inherit']
    })
    const ended = once(child, 'exit')
    try {
      const relay = await openRelay({ place, db: database(), minOffSeconds: 1, now: Date.now })
      equal(relay.state, 'off')
      child.stdin.write('now\n')
      await until(() => relay.state === 'on', 'nobody holds the line')
      await relay.on(signal)
      await relay.isBack(signal)
      deepEqual([child.exitCode, child.signalCode], [null, null], 'it is left alone')
      await relay.off(3)
      await relay.isBack(signal)
    } finally {
      child.kill('SIGKILL')
      await ended
    }
  })

  it('puts a TV to sleep, cuts it, and answers when it is up again; one without a relay says so', async () => {
    await using fleet = createFleet()
    const { place: first, tv, daemon } = await fleet.tv('tv-1')
    const second = await fleet.tv('tv-2')
    mains.wire(daemon, CHIP, 17)
    const node = await fleet.start({ tvs: [first, second.place], relays: [`tv-1 ${CHIP}:17`] })
    await node.up(2)
    const [cycled] = await node.do('power.cycle', 'name=tv-1')
    deepEqual([cycled!.is, tv.hasPower, tv.keys.at(-1)], ['done', true, 223])
    deepEqual(mains.calls(), [`--mode=time --sec=10 ${CHIP} 17=1`])
    await node.up(2)
    const [off] = await node.do('power.off', 'name=tv-1')
    equal(off!.is, 'done')
    const list = async () =>
      (await node.call<{ items: { name: string; lamp: string; readings: { relay?: string } }[] }>('list'))
        .items
    await until(async () => (await list())[0]!.lamp === 'down', 'it is missed')
    equal((await list())[0]!.readings.relay, 'off')
    equal((await node.do('key.home', 'name=tv-1'))[0]!.is, 'failed')
    equal((await node.do('power.on', 'name=tv-1'))[0]!.is, 'done')
    await node.up(2)
    equal((await list())[0]!.readings.relay, 'on')
    const [none] = await node.do('power.cycle', 'name=tv-2')
    match(none!.why!, /no relay/)
    equal(second.tv.hasPower, true)
  })
})
