import type { Caller } from '../../host/index.ts'
import { loadOutbound } from '../../outbound/index.ts'
import { nameOfCaller } from '../caller.ts'
import type { Log, Signer } from '../context.ts'
import { readSecretFile } from '../secret-file.ts'
import type { Rule, StoredRule } from './rule.ts'
import type { Alert, AlertStore, Silence, Step, Told } from './store.ts'
import { createTell, secretOf } from './tell.ts'

const POST_MS = 30_000
const MAX_ANSWER_BYTES = 64 * 1024
const MINUTE_MS = 60_000
const MAILTO = 'mailto:'

export interface AlertsInit {
  store: AlertStore
  self: string
  settings(): {
    alertUrls: readonly string[]
    escalationUrls: readonly string[]
    alertHosts: readonly string[]
    alertPeers: readonly string[]
    alertMailFile?: string
  }
  areTold(peer: string, keys: string[], step: Step): Promise<Told>
  sign: Signer
  now(): number
  onState(reason: string | undefined): void
  /** something about alerts is not as it was */
  changed(): void
  log: Log
}

/** Alerts for people and for other nodes: what they may do, and who hears. */
export function createAlerts({
  store,
  self,
  settings,
  areTold,
  sign,
  now,
  onState,
  changed,
  log
}: AlertsInit) {
  let opened: ReturnType<typeof open> | undefined
  async function open() {
    const { createOutbound } = await loadOutbound()
    return createOutbound({ openHosts: () => settings().alertHosts, gapMs: () => 0 })
  }

  const tell = createTell({
    store,
    self,
    others: () => settings().alertPeers,
    urls: () => settings().alertUrls,
    lastUrls: () => settings().escalationUrls,
    async post(url, headers, body, signal) {
      const until = AbortSignal.any([signal, AbortSignal.timeout(POST_MS)])
      if (url.startsWith(MAILTO)) {
        const { alertMailFile } = settings()
        if (alertMailFile == null) throw new Error('there is no mail server; set devices.alertMailFile')
        const { sendMail } = await import('./mail.ts')
        const to = decodeURIComponent(url.slice(MAILTO.length))
        return sendMail(await readSecretFile(alertMailFile), to, headers['webhook-id']!, body, until)
      }
      // its HTTP client is read where somebody is told
      opened ??= open()
      const { fetch } = await opened
      const { status } = await fetch(url, {
        method: 'POST',
        headers,
        body,
        isRobot: false,
        maxBytes: MAX_ANSWER_BYTES,
        signal: until
      })
      if (status < 200 || status > 299) throw new Error(`it answered ${status}`)
    },
    areTold,
    sign,
    now,
    onState,
    log
  })

  return {
    round: tell.round,
    async close(): Promise<void> {
      await (await opened)?.close()
    },
    operations: {
      alerts: ({ state, limit }: { state?: Alert['state'] | 'open'; limit: number }) => ({
        items: store.list(state, limit)
      }),
      acknowledge({ key, note }: { key: string; note?: string }, { caller }: { caller: Caller }): Alert {
        const alert = store.acknowledge(key, nameOfCaller(caller), note, now())
        changed()
        return alert
      },
      rules: () => ({ items: [...store.rules()] }),
      setRule(rule: Rule): StoredRule {
        const since = now()
        store.setRule(rule, since)
        changed()
        return { ...rule, since }
      },
      removeRule({ name }: { name: string }) {
        store.removeRule(name, now())
        changed()
        return {}
      },
      silence(
        { devices, rule, minutes, why }: { devices: string; rule?: string; minutes: number; why: string },
        { caller }: { caller: Caller }
      ): Silence {
        const silence = {
          devices,
          ...(rule == null ? {} : { rule }),
          until: now() + minutes * MINUTE_MS,
          why,
          by: nameOfCaller(caller)
        }
        const id = store.silence(silence, now())
        changed()
        return { id, ...silence }
      },
      silences: () => ({ items: store.silences(now()) }),
      endSilence({ id }: { id: number }) {
        store.endSilence(id)
        changed()
        return {}
      },
      receivers() {
        const { alertUrls, escalationUrls } = settings()
        const receiver = (isLast: boolean) => (url: string) => ({ url, secret: secretOf(sign, url), isLast })
        return { items: [...alertUrls.map(receiver(false)), ...escalationUrls.map(receiver(true))] }
      }
    }
  }
}
