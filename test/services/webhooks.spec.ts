import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultLogger } from '@libp2p/logger'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import type { Job, JobReport } from '../../scheduler/index.ts'
import { mayTell } from '../../services/compute/webhooks/address.ts'
import { createWebhooks, type Webhooks } from '../../services/compute/webhooks/create-webhooks.ts'
import { GIVE_UP_MS, nextAttempt } from '../../services/compute/webhooks/retry.ts'
import { quietPort } from './quiet-port.ts'

const HOUR_MS = 3_600_000
const LOOPBACK = ['127.0.0.0/8']
const PATIENCE_MS = 240_000

describe('webhooks', function () {
  this.timeout(600_000)
  let folder: string
  const receivers: Server[] = []
  const running: Webhooks[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-webhooks-'))
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map(it => it.stop()))
    for (const server of receivers.splice(0)) server.close()
    await rm(folder, { recursive: true })
  })

  interface Taken {
    headers: IncomingHttpHeaders
    body: string
  }

  /** A receiver that answers with this status. */
  async function receive(status = 204, location?: string, at = 0) {
    const taken: Taken[] = []
    const server = createServer((req, res) => {
      let body = ''
      req.on('data', chunk => {
        body += chunk
      })
      req.on('end', () => {
        taken.push({ headers: req.headers, body })
        res.writeHead(status, location == null ? {} : { location }).end()
      })
    })
    receivers.push(server)
    await new Promise<void>(resolve => server.listen(at, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    return { taken, server, url: `http://127.0.0.1:${port}/hook`, named: `http://hooks.example:${port}/hook` }
  }

  /** A node as far as webhooks see it. Its jobs end when they are told to. */
  function open(
    urls: string[],
    options: {
      privateRanges?: string[]
      now?: () => number
      resolve?: () => Promise<{ address: string }[]>
    } = {}
  ) {
    const jobs = new Map<string, JobReport>()
    const events = new EventTarget()
    const { privateRanges = LOOPBACK, ...rest } = options
    const webhooks = createWebhooks({ folder, settings: () => ({ urls, privateRanges }), ...rest })({
      scheduler: Object.assign(events, {
        job: (id: string) => (jobs.has(id) ? ({ id, report: () => jobs.get(id)! } as Job) : undefined)
      }) as never,
      sign: (domain, bytes) => Buffer.from(`${domain} of the node's key over ${Buffer.from(bytes)}`),
      log: defaultLogger().forComponent('artel:compute')
    })
    running.push(webhooks)
    return {
      webhooks,
      async submit(notify: object): Promise<string> {
        const { notify: wanted } = webhooks.split({ type: 'map', notify })
        const job = await webhooks.start(wanted, undefined, async id => {
          jobs.set(id!, report(id!, 'running'))
          return { id: id!, report: () => jobs.get(id!)! } as Job
        })
        return job.id
      },
      end(id: string, state: JobReport['state']): void {
        const detail = report(id, state)
        jobs.set(id, detail)
        events.dispatchEvent(new CustomEvent('job:end', { detail }))
      },
      close: () => running.splice(running.indexOf(webhooks), 1)[0]!.stop()
    }
  }

  function report(job: string, state: JobReport['state']): JobReport {
    const finished = state === 'running' ? {} : { finished: 1_700_000_000_000 }
    return {
      job,
      type: 'map',
      state,
      submitted: 1_699_999_999_000,
      ...finished,
      done: 1,
      total: 1,
      retries: 0,
      bound: 5_000_000n,
      paid: 2n ** 60n,
      shares: []
    }
  }

  async function until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    while (!isSo()) {
      assert.ok(Date.now() < deadline, `waited in vain for ${what}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }

  it('are signed as Standard Webhooks says, and tell how a job ended', async () => {
    const { taken, url } = await receive()
    const node = open([url])
    const id = await node.submit({ url })
    node.end(id, 'completed')
    await until('the message', () => taken.length > 0)
    const [{ headers, body }] = taken as [Taken]
    const { secret } = node.webhooks.list()[0]!
    const message = new Webhook(secret).verify(body, headers as Record<string, string>)
    assert.deepEqual(message, {
      type: 'job.completed',
      timestamp: '2023-11-14T22:13:20.000Z',
      data: { ...report(id, 'completed'), bound: '5000000', paid: '1152921504606846976' }
    })
    assert.throws(() => new Webhook(secret).verify(`${body} `, headers as Record<string, string>))
    assert.match(headers['content-type']!, /^application\/json/)
    await until('it to be taken', () => node.webhooks.list()[0]!.waiting === 0)
  })

  it('reach a receiver that was down for an hour, each event once per id, also after a restart', async () => {
    // it comes back there
    const { taken, url, server } = await receive(500, undefined, await quietPort())
    const anHourAgo = () => Date.now() - HOUR_MS
    const before = open([url], { now: anHourAgo })
    const ids = await Promise.all([before.submit({ url }), before.submit({ url }), before.submit({ url })])
    for (const id of ids) before.end(id, 'failed')
    await until('three tries', () => new Set(taken.map(({ headers }) => headers['webhook-id'])).size === 3)
    await until('them to be kept', () => before.webhooks.list()[0]!.reason === 'it answered 500')
    const still = await before.submit({ url })
    await before.close()
    const { port } = server.address() as AddressInfo
    await new Promise(resolve => server.close(resolve))
    const down = open([url], { now: () => anHourAgo() + 60_000 })
    await until('nobody to answer', () => /ECONNREFUSED/.test(down.webhooks.list()[0]!.reason ?? ''))
    await down.close()

    const heard: string[] = []
    const up = createServer((req, res) => {
      heard.push(req.headers['webhook-id'] as string)
      res.end()
    })
    receivers.push(up)
    await new Promise<void>(resolve => up.listen(port, '127.0.0.1', resolve))
    const after = open([url])
    await until('all to be taken', () => after.webhooks.list()[0]!.waiting === 0)
    assert.deepEqual(heard.sort(), ids.map(id => `msg_${id}`).sort())
    assert.deepEqual(new Set(taken.map(({ headers }) => headers['webhook-id'])), new Set(heard))
    // a job that no scheduler knows was never acknowledged
    assert.equal(after.webhooks.list()[0]!.jobs, 0)
    assert.ok(!heard.includes(`msg_${still}`))
  })

  it('tell only the ends that were asked for', async () => {
    const { taken, url } = await receive()
    const node = open([url])
    const quiet = await node.submit({ url, events: ['job.failed'] })
    const loud = await node.submit({ url, events: ['job.failed', 'job.cancelled'] })
    node.end(quiet, 'completed')
    node.end(loud, 'cancelled')
    await until('the message', () => taken.length > 0)
    assert.deepEqual(
      taken.map(({ headers }) => headers['webhook-id']),
      [`msg_${loud}`]
    )
    assert.equal(node.webhooks.list()[0]!.jobs, 0)
  })

  it('go to the URLs of the owner and nowhere else', async () => {
    const { url } = await receive()
    const node = open([url])
    for (const foreign of [
      `${url}/x`,
      url.replace('hook', 'HOOK'),
      'http://169.254.169.254/',
      'file:///etc/passwd',
      ''
    ])
      await assert.rejects(node.submit({ url: foreign }), { name: 'RequestError' }, foreign)
    await assert.rejects(node.submit({ url, events: ['job.done'] }), /notify\.events/)
    await assert.rejects(node.submit({ url, secret: 'x' }), /notify/)
  })

  it('follow no redirect, and no name to an address that is not public', async () => {
    const inside = await receive()
    const redirecting = await receive(302, inside.url)
    const node = open([redirecting.url])
    node.end(await node.submit({ url: redirecting.url }), 'completed')
    await until('the answer', () => node.webhooks.list()[0]!.reason != null)
    assert.match(node.webhooks.list()[0]!.reason!, /302; redirects are not followed/)
    await node.close()

    let answers = ['93.184.216.34', '127.0.0.1']
    const resolve = async () => answers.map(address => ({ address }))
    const strict = open([inside.named], { privateRanges: [], resolve })
    strict.end(await strict.submit({ url: inside.named }), 'completed')
    await until('a refusal', () => strict.webhooks.list()[0]!.reason != null)
    assert.match(strict.webhooks.list()[0]!.reason!, /127\.0\.0\.1, which is not public/)
    await strict.close()
    assert.equal(inside.taken.length, 0)

    // what was looked up and judged is what is connected to
    answers = ['127.0.0.1']
    const listed = open([inside.named], { resolve, now: () => Date.now() + HOUR_MS })
    await until('it to be taken', () => listed.webhooks.list()[0]!.waiting === 0)
    assert.equal(inside.taken.length, 1)
    assert.match(inside.taken[0]!.headers.host!, /^hooks\.example/)
  })

  it('judge an address as the standards of its range do', () => {
    const inner =
      '127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 192.0.2.1 198.18.0.1 ::1 :: fe80::1 fc00::1 ff02::1 ::ffff:10.0.0.1 ::ffff:7f00:1 ::7f00:1 64:ff9b::7f00:1 2001:db8::1 2002:7f00:1:: host'
    for (const address of inner.split(' ')) assert.ok(!mayTell(address, []), address)
    for (const address of ['93.184.216.34', '1.1.1.1', '2606:4700::1111', '::ffff:1.1.1.1'])
      assert.ok(mayTell(address, []), address)
    assert.ok(mayTell('192.168.1.7', ['10.0.0.0/8', '192.168.1.0/24']))
    assert.ok(mayTell('::ffff:192.168.1.7', ['192.168.1.0/24']))
    assert.ok(!mayTell('192.168.2.7', ['192.168.1.0/24', 'fd00::/8']))
    assert.ok(mayTell('fd00::7', ['fd00::/8']))
  })

  it('are tried at least every half hour, for a day and no longer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 42 }), created => {
        let now = created
        let longest = 0
        for (let attempts = 1; ; attempts++) {
          const next = nextAttempt(created, attempts, now)
          if (next == null) break
          assert.ok(next > now)
          longest = Math.max(longest, next - now)
          now = next
        }
        assert.equal(now, created + GIVE_UP_MS)
        assert.ok(longest <= HOUR_MS / 2)
      })
    )
  })
})
