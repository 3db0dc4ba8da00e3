import { join } from 'node:path'
import { loadOrCreateIdentity } from '../../bootstrap/index.ts'
import { caseOf, courtRule, openCourt } from './court.ts'
import { INVENTED, MOVED, WITHHELD } from './liar.ts'
import { openServiceNetwork } from './service-network.ts'
import { until } from './stage.ts'

const CASES = 200
const READER = 'reader@example.org'
const ROUNDS = 3
const MAIL_MS = 60_000

interface Outcome {
  state: string
  reason?: string
  items: number
  agreement?: { answers: { peer: string; is: string; keys: string[] }[] }
}

/** Three nodes that watch one list, of which one lies; somebody is told by an honest one. */
export async function playAgreement(
  folder: string,
  mail: { port: number; unique(to: string): { events: string[] }[] }
): Promise<{ right: boolean; detail: string }> {
  const place = join(folder, 'agreement')
  await using court = await openCourt(CASES, true)
  await using network = await openServiceNetwork(place, 'watch')
  const names = ['one', 'two', 'liar']
  // known before they start, so that each can be told whom to ask
  const ids = await Promise.all(
    names.map(async name => (await loadOrCreateIdentity(join(place, name, 'key'))).peerId.toString())
  )
  const settings = {
    openHosts: [court.host],
    pauseSeconds: 0,
    lookPeers: ids,
    allowedPeers: ids,
    lookHosts: [court.host],
    shareSeconds: 600,
    smtpHost: '127.0.0.1',
    smtpPort: mail.port,
    smtpTls: 'none',
    smtpFrom: 'Artel <artel@example.org>'
  }
  const nodes = []
  for (const name of names) nodes.push(await network.start(name, { ...settings, lies: name === 'liar' }))
  const rule = { ...courtRule(court.url, 1), login: undefined, agree: 3 }
  for (const node of nodes) await node.call('put', { id: 'court', rule, isPaused: true })
  const subscription = { name: 'All', channel: { kind: 'email', to: READER } }
  await nodes[0]!.call('subscribe', { id: 'all', subscription })

  const outcomes: Outcome[] = []
  for (let round = 0; round < ROUNDS; round++) {
    if (round === 1) {
      court.cases.set('2-9999/2026', caseOf(9999))
      court.cases.set('2-7/2026', { ...court.cases.get('2-7/2026')!, room: '9' })
      court.cases.delete('2-8/2026')
    }
    for (const node of nodes) outcomes.push(await node.call<Outcome>('run', { id: 'court' }))
  }
  const truth = ['Changed 2-7/2026', 'Gone 2-8/2026', 'New 2-9999/2026']
  const told = (): string[] => mail.unique(READER).flatMap(({ events }) => events)
  await until('what has changed', async () => told().length >= truth.length, MAIL_MS)

  const isNamed = ({ agreement }: Outcome): boolean =>
    agreement?.answers.length === 3 &&
    agreement.answers.every(({ peer, is, keys }) =>
      peer === ids[2]
        ? is === 'differs' && [INVENTED, MOVED, WITHHELD].every(key => keys.includes(key))
        : is === 'agrees'
    )
  const failed = outcomes.find(({ state, items }) => state !== 'ok' || items !== CASES)
  const [health] = await nodes[0]!.call<{ reason?: string }[]>('health')
  const right =
    failed == null &&
    outcomes.every(isNamed) &&
    told().sort().join() === truth.join() &&
    court.reads === names.length * ROUNDS &&
    health?.reason?.includes(ids[2]!) === true
  const ended = await network.end()
  return {
    right: right && ended,
    detail:
      failed?.reason ??
      `${outcomes.length} looks of three nodes with ${court.reads} requests; told: ${told().length} true changes, 3 lies named in each look, none told`
  }
}
