import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SMTPServer } from 'smtp-server'
import { createAlerts } from '../../../services/devices/alerts/create-alerts.ts'
import { sendMail } from '../../../services/devices/alerts/mail.ts'
import { createAlertStore } from '../../../services/devices/alerts/store.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'

const log = Object.assign(() => {}, { error: () => {} })
const { signal } = new AbortController()

describe('devices: alerts by e-mail', () => {
  it('end with the signal, also where a server says a little now and then', async () => {
    const stop = new AbortController()
    const closed = Promise.withResolvers<void>()
    const server = createServer(socket => {
      // a greeting that goes on and on
      const greet = (error?: unknown): void => {
        if (error == null) socket.write('220-wait\r\n', failure => setImmediate(greet, failure))
      }
      socket.on('error', () => {}).on('close', () => closed.resolve())
      greet()
      stop.abort(new Error('enough'))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const { port } = server.address() as AddressInfo
      const body = JSON.stringify({
        type: 'alert.firing',
        timestamp: '',
        data: { rule: 'r', agent: 'a', alerts: [] }
      })
      const url = `smtp://127.0.0.1:${port}?from=alerts@example.org&tls=none`
      await rejects(sendMail(url, 'ann@example.org', 'id', body, stop.signal), { name: 'AbortError' })
      await closed.promise
    } finally {
      server.close()
    }
  })

  it('go by e-mail too, again under the same id, and no name of a device becomes a header', async () => {
    const mails: { to: string[]; text: string }[] = []
    let isDown = true
    const server = new SMTPServer({
      authOptional: true,
      hideSTARTTLS: true,
      logger: false,
      async onData(stream, { envelope }, done) {
        let text = ''
        for await (const chunk of stream) text += (chunk as Buffer).toString('latin1')
        mails.push({ to: envelope.rcptTo.map(({ address }) => address), text })
        done(isDown ? new Error('come again') : undefined)
      }
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.server.address() as AddressInfo
    const folder = await mkdtemp(join(tmpdir(), 'artel-mail-'))
    const alertMailFile = join(folder, 'mail')
    await writeFile(alertMailFile, `smtp://127.0.0.1:${port}?from=alerts@example.org&tls=none\n`, {
      mode: 0o600
    })
    const db = new DatabaseSync(':memory:')
    for (const sql of MIGRATIONS) db.exec(sql)
    const store = createAlertStore(db)
    let now = 1_000_000
    const device = 'host:1\r\nBcc: eve@example.org\r\n'
    const places = { agent: 'agent-1', device, rule: 'hot', number: 0, seq: 7, severity: 'warning' as const }
    const at = { openedAt: now, heardAt: now, firedAt: now }
    const states: (string | undefined)[] = []
    const alerts = createAlerts({
      store,
      self: 'a',
      settings: () => ({
        alertUrls: ['mailto:ann@example.org'],
        escalationUrls: [],
        alertHosts: [],
        alertPeers: [],
        alertMailFile
      }),
      areTold: async () => ({ keys: [], escalated: [] }),
      sign: () => new Uint8Array(64),
      now: () => now,
      onState: reason => void states.push(reason),
      changed: () => {},
      log
    })
    try {
      store.open({ ...places, ...at, key: 'k', state: 'firing', value: 11 })
      now += 2_000
      await alerts.round(signal)
      match(states.at(-1)!, /mailto:ann@example.org does not take alerts.*come again/)
      isDown = false
      now += 600_000
      await alerts.round(signal)
      await alerts.round(signal)
      equal(states.at(-1), undefined)
      equal(mails.length, 2)
      const ids = mails.map(({ text }) => /^Message-ID: (.*)$/m.exec(text)![1])
      equal(ids[0], ids[1])
      const { to, text } = mails[1]!
      deepEqual(to, ['ann@example.org'])
      const [head, ...rest] = text.split('\r\n\r\n')
      ok(!/^Bcc/m.test(head!))
      match(head!, /^Subject: hot fires: host:1/m)
      match(rest.join(''), /warning {2}host:1/)
      await chmod(alertMailFile, 0o644)
      store.resolve('k', now)
      now += 2_000
      await alerts.round(signal)
      match(states.at(-1)!, /chmod 600/)
      equal(mails.length, 2)
    } finally {
      await alerts.close()
      await new Promise<void>(resolve => server.close(resolve))
      await rm(folder, { recursive: true })
    }
  })
})
