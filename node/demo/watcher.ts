import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { SMTPServer } from 'smtp-server'
import { playAgreement } from './agreement.ts'
import type { Demo } from './contract.ts'
import { COURT_PASSWORD, type Court, caseOf, courtRule, openCourt } from './court.ts'
import { openServiceNetwork, type ServiceNode } from './service-network.ts'
import { until } from './stage.ts'
import { createSteps } from './steps.ts'

const CASES = 5000
/** One more than it has: there are going to be more cases. */
const PAGES = 11
/** A little into a look, and a little into the sending of a message. */
const KILL_AFTER_MS = 700
const WAIT_MS = 180_000
const ALL = 'all@example.org'
const LAWYER = 'lawyer@example.org'

interface Outcome {
  state: 'ok' | 'failed' | 'broken'
  reason?: string
  items: number
  changes: number
  isFirst: boolean
}
interface Mail {
  to: string
  id: string
  subject: string
  /** `New 2-7/2026` */
  events: string[]
}

/** A court's list behind a login: ten visits, once another layout, a node that is killed three times, two people who are told. */
export const watcher: Demo = {
  summary:
    'a list of 5,000 cases behind a login is watched over ten visits: each change is told once, a new layout is not',
  async run(stage) {
    await using court = await openCourt(CASES)
    await using trap = await openTrap()
    await using mail = await openMail()
    await using network = await openServiceNetwork(stage.folder, 'watch')
    const settings = {
      openHosts: [court.host, trap.host],
      pauseSeconds: 0,
      smtpHost: '127.0.0.1',
      smtpPort: mail.port,
      smtpTls: 'none',
      smtpFrom: 'Artel <artel@example.org>'
    }
    let node: ServiceNode = await network.start('node', settings)
    const { step, played } = createSteps(stage.say)
    const visit = (): Promise<Outcome> => node.call('run', { id: 'court' })
    async function killed(): Promise<void> {
      await node.kill()
      node = await network.start('node', settings)
    }
    const subscribe = (id: string, subscription: object): Promise<unknown> =>
      node.call('subscribe', { id, subscription })

    await node.call('secret', { name: 'court', value: COURT_PASSWORD, site: court.url })
    await node.call('put', { id: 'court', rule: courtRule(court.url, PAGES), isPaused: true })
    await subscribe('all', { name: 'All', channel: { kind: 'email', to: ALL } })
    await subscribe('lawyer', {
      name: 'Shcherbakov',
      query: 'Shcherbakov',
      digest: '* * * * *',
      channel: { kind: 'email', to: LAWYER }
    })
    const truth = createTruth(court)

    await step('visit 1: all are there, and nobody is told', async () => {
      const { state, items, isFirst, reason } = await visit()
      return { right: state === 'ok' && items === CASES && isFirst, detail: reason ?? `${items} cases` }
    })
    await step('visit 2: what has changed', async () => {
      truth.change()
      const { changes, state } = await visit()
      return { right: state === 'ok' && changes === 5, detail: `${changes} changes` }
    })
    await step('visit 3: the node is killed while it looks', async () => {
      truth.change()
      const broken = visit().catch((error: Error) => error)
      await delay(KILL_AFTER_MS)
      await killed()
      await broken
      const { state, reason } = await visit()
      return { right: state === 'ok', detail: reason ?? 'looked again' }
    })
    await step('visit 4: the node is killed as soon as it knows', async () => {
      truth.change()
      const { state, reason } = await visit()
      await killed()
      return { right: state === 'ok', detail: reason ?? 'the messages are sent by the next one' }
    })
    await step('visits 5 to 7: another layout is told once, and nothing is gone', async () => {
      court.isRebuilt = true
      const outcomes = [await visit(), await visit(), await visit()]
      court.isRebuilt = false
      const right = outcomes.every(({ state, changes }) => state === 'broken' && changes === 0)
      return { right, detail: outcomes[0]!.reason ?? outcomes[0]!.state }
    })
    await step('visits 8 to 10: the old one is back', async () => {
      const outcomes: Outcome[] = []
      for (const isChanged of [true, false, false]) {
        if (isChanged) truth.change()
        outcomes.push(await visit())
      }
      await killed()
      return {
        right: outcomes.every(({ state }) => state === 'ok'),
        detail: `${outcomes.map(({ changes, reason }) => reason ?? changes).join(', ')} changes, ${court.logins} login`
      }
    })
    await step('each event is in one message to each who asked, over three kills', async () => {
      const wanted = truth.events().sort()
      const ofLawyer = truth.ofShcherbakov().sort()
      const told = (to: string): string[] => mail.unique(to).flatMap(({ events }) => events)
      await until(
        'all messages',
        async () => told(ALL).length >= wanted.length && told(LAWYER).length >= ofLawyer.length,
        WAIT_MS
      )
      const right = same(told(ALL).sort(), wanted) && same(told(LAWYER).sort(), ofLawyer)
      const alarms = mail.unique(ALL).filter(({ events }) => events.length === 0)
      return {
        right: right && alarms.length === 2,
        detail: `${wanted.length} and ${ofLawyer.length} events in ${mail.unique(ALL).length} and ${mail.unique(LAWYER).length} mails; ${alarms.length} of them on the layout`
      }
    })
    await step('parties are found in both scripts', async () => {
      const find = async (q: string): Promise<string> => {
        const { items } = await node.call<{ items: { key: string }[] }>('items', { q, limit: 1000 })
        return items
          .map(({ key }) => key)
          .sort()
          .join()
      }
      const spellings = ['Щербаков', 'ЩЕРБАКОВ', 'Shcherbakov', 'Scherbakov', 'Sherbakov']
      const found = await Promise.all(spellings.map(find))
      const zhukov = (await find('Zhukovskiy')).split(',').length
      const right = found[0] !== '' && found.every(keys => keys === found[0]) && zhukov === CASES / 8
      return {
        right,
        detail: `${spellings.length} spellings: ${found[0]!.split(',').length} cases; Zhukovskiy: ${zhukov}`
      }
    })
    await step('a page that leads inside leads nowhere', async () => {
      const rule = { ...courtRule(`http://${trap.host}`, 1), login: undefined }
      await node.call('put', { id: 'trap', rule, isPaused: true })
      const { state, reason } = await node.call<Outcome>('run', { id: 'trap' })
      return { right: state === 'failed' && trap.hits() === 0, detail: `${trap.hits()} reached; ${reason}` }
    })
    await step('three nodes share their looks and agree; one of them lies, and is named', () =>
      playAgreement(stage.folder, mail)
    )
    const ended = await network.end()
    return played(ended, { nodesEnded: ended })
  }
}

const same = (a: readonly string[], b: readonly string[]): boolean => a.join() === b.join()

/** Changes the court's list, and knows what must be told of it. */
function createTruth(court: Court) {
  const told: string[] = []
  const ofShcherbakov: string[] = []
  let round = 0
  return {
    change(): void {
      round++
      for (let i = 0; i < 3; i++) {
        const added = caseOf(10_000 * round + i, i === 0 ? 'Щербаков против ООО «Ромашка»' : undefined)
        court.cases.set(added.number, added)
        told.push(`New ${added.number}`)
        if (i === 0) ofShcherbakov.push(`New ${added.number}`)
      }
      for (let i = 0; i < 2; i++) {
        const number = `2-${100 * round + i}/2026`
        court.cases.set(number, { ...court.cases.get(number)!, hearing: '2027-01-15' })
        told.push(`Changed ${number}`)
      }
      const gone = `2-${100 * round + 50}/2026`
      court.cases.delete(gone)
      told.push(`Gone ${gone}`)
    },
    events: () => [...told],
    ofShcherbakov: () => [...ofShcherbakov]
  }
}

/** A mail server that keeps what it takes. */
async function openMail() {
  const mails: Mail[] = []
  const server = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    logger: false,
    async onData(stream, { envelope }, done) {
      const chunks: Uint8Array[] = []
      for await (const chunk of stream) chunks.push(chunk as Uint8Array)
      mails.push({ to: envelope.rcptTo[0]!.address, ...read(Buffer.concat(chunks).toString('latin1')) })
      done()
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.server.address() as AddressInfo).port,
    /** what comes twice has one Message-ID */
    unique: (to: string): Mail[] => [
      ...new Map(mails.filter(mail => mail.to === to).map(mail => [mail.id, mail])).values()
    ],
    [Symbol.asyncDispose]: () => new Promise<void>(resolve => server.close(() => resolve()))
  }
}

/** Its plain part is the first, in base64. */
function read(raw: string): Omit<Mail, 'to'> {
  const header = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(raw)?.[1]?.trim() ?? ''
  const plain = /Content-Type: text\/plain[\s\S]*?\r\n\r\n([\s\S]*?)\r\n--/.exec(raw)?.[1] ?? ''
  const text = Buffer.from(plain, 'base64').toString('utf8')
  const events = [...text.matchAll(/^(New|Changed|Gone|Back again) \(.*?\): number: ([^;]+);/gm)]
  return {
    id: header('Message-ID'),
    subject: header('Subject'),
    events: events.map(([, kind, key]) => `${kind} ${key}`)
  }
}

/** A site that sends its readers to a server on this machine, which counts who comes. */
async function openTrap() {
  let hits = 0
  const inside = createServer((_, response) => {
    hits++
    response.end('inside')
  })
  await new Promise<void>(resolve => inside.listen(0, '127.0.0.1', resolve))
  const { port } = inside.address() as AddressInfo
  const site = createServer((_, response) =>
    response.writeHead(302, { location: `http://0x7f.1:${port}/` }).end()
  )
  await new Promise<void>(resolve => site.listen(0, '127.0.0.1', resolve))
  return {
    host: `127.0.0.1:${(site.address() as AddressInfo).port}`,
    hits: () => hits,
    async [Symbol.asyncDispose]() {
      for (const server of [inside, site]) {
        server.closeAllConnections()
        await new Promise(resolve => server.close(resolve))
      }
    }
  }
}
