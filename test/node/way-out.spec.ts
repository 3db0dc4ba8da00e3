import { deepEqual, equal, rejects } from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { shutWayOut } from '../../bootstrap/way-out.ts'
import { createTelegram } from '../../services/assistant/bot/telegram.ts'
import { createSend as createAsk } from '../../services/assistant/provider/send.ts'
import { post } from '../../services/compute/webhooks/post.ts'
import { sendMail } from '../../services/devices/alerts/mail.ts'
import { createMirror } from '../../services/devices/mirror/mirror.ts'
import { loadOutbound } from '../../services/outbound/index.ts'
import { openTransport } from '../../services/sas/line/transport.ts'
import { loadKey } from '../../services/tv/adb/key.ts'
import { pairByCode } from '../../services/tv/adb/pair-by-code.ts'
import { openSession } from '../../services/tv/adb/session.ts'
import { openRelay } from '../../services/tv/relay.ts'
import { createSend } from '../../services/watcher/send/channels.ts'

const WAIT_MS = 60_000

describe('node: the way out of the machine', () => {
  it('is taken by nothing while it is shut, and by everything when it is not', async () => {
    await using ended = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'artel-way-out-'))
    ended.defer(() => rm(folder, { recursive: true }))
    // ends each connection at once: who came is all that it is asked
    let came = 0
    let onCame = (): void => undefined
    const server = createServer(socket => {
      came++
      socket.on('error', () => undefined).destroy()
      onCame()
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    ended.defer(() => void server.close())
    const { port } = server.address() as AddressInfo
    const place = `127.0.0.1:${port}`
    const { createOutbound } = await loadOutbound()
    const outbound = createOutbound({ openHosts: () => [place], gapMs: () => 0 })
    const ask = createAsk({ read: async () => '' }, Date.now)
    const telegram = createTelegram(`http://${place}`, async () => 'token')
    const never: { of: never } = { of: undefined as never }
    const logs = [{ chain: { agent: 'agent', number: 1 }, first: 0 }]
    const mirror = createMirror(`postgres://name@${place}/none`, {
      ...never,
      find: never.of,
      all: () => logs as never
    })
    for (const { close } of [outbound, ask, telegram, mirror]) ended.defer(async () => void (await close()))
    const key = await loadKey(folder, 'key')
    const mail = createSend({
      outbound,
      secrets: { key: async () => '' },
      mail: () => ({
        smtpHost: '127.0.0.1',
        smtpPort: port,
        smtpTls: 'none',
        smtpUser: '',
        smtpFrom: 'a@example.org'
      }),
      messenger: () => undefined,
      now: Date.now
    })
    const alert = JSON.stringify({
      type: 'alert.firing',
      timestamp: '',
      data: { rule: '', agent: '', alerts: [] }
    })
    const tv = { host: '127.0.0.1', port, key, deadlineMs: 2_000 }
    const ways: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
      pages: signal => outbound.fetch(`http://${place}/`, { isRobot: false, signal }),
      'webhooks of jobs': signal =>
        post(new URL(`http://${place}/`), {
          headers: {},
          body: '{}',
          privateRanges: ['127.0.0.0/8'],
          signal
        }),
      'mail of alerts': signal =>
        sendMail(`smtp://${place}?from=a@example.org&tls=none`, 'b@example.org', '1', alert, signal),
      'mail of pages': signal =>
        mail(
          { kind: 'email', to: 'b@example.org' },
          { kind: 'broken', subscription: '', rule: '', reason: '', events: [] },
          '1',
          signal
        ),
      'models of others': signal =>
        ask.send(
          {
            name: 'name',
            provider: { kind: 'openai', url: `http://${place}` },
            model: { use: 'chat' }
          } as never,
          '/chat/completions',
          {},
          signal
        ),
      // it tries again until it is told to end
      bots: signal => telegram.updates(0, 0, signal),
      'lines of machines': signal => openTransport(`tcp://${place}`, 19_200, signal),
      TVs: signal => openSession({ ...tv, onTcp: () => undefined, signal }),
      'TVs by their code': signal => pairByCode({ ...tv, code: '123456', signal }),
      'databases of others': signal => mirror.catchUp(signal)
    }
    async function take(way: (signal: AbortSignal) => Promise<unknown>, signal: AbortSignal): Promise<void> {
      const taken = await way(signal).catch(() => undefined)
      ;(taken as { destroy?(): void } | undefined)?.destroy?.()
    }

    {
      using _ = shutWayOut()
      for (const way of Object.values(ways)) await take(way, AbortSignal.timeout(100))
      equal(came, 0)
      using db = new DatabaseSync(':memory:')
      db.exec('CREATE TABLE cut (tv TEXT, at INTEGER)')
      const relay = await openRelay({
        place: { tv: 'tv', chip: 'none', line: 1, isActiveLow: false },
        db,
        now: Date.now
      })
      await rejects(relay.off(10), { name: 'OnTrialError' })
      deepEqual(db.prepare('SELECT * FROM cut').all(), [])
    }
    const taken: Promise<void>[] = []
    for (const [name, way] of Object.entries(ways)) {
      const end = new AbortController()
      const seen = new Promise<void>(resolve => {
        onCame = resolve
      })
      const tooLate = delay(WAIT_MS, true, { signal: end.signal }).catch(() => true)
      taken.push(take(way, end.signal))
      equal(await Promise.race([seen, tooLate]), undefined, name)
      end.abort()
    }
    await Promise.all(taken)
  })
})
