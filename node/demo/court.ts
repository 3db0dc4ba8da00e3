import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A court's list of cases: behind a login, without a search, in another order at every visit. */
export interface Court extends AsyncDisposable {
  /** name:port */
  host: string
  url: string
  cases: Map<string, Case>
  /** how often somebody logged in */
  readonly logins: number
  /** how often a page of the list was read */
  readonly reads: number
  /** another version of its pages, in which the old selectors find nothing */
  isRebuilt: boolean
}

export interface Case {
  number: string
  parties: string
  hearing: string
  room: string
}

export const COURT_USER = 'advocate'
export const COURT_PASSWORD = 'over & out = 1'
const PER_PAGE = 500
const ROOM = ['1', '2', '3А', '4']
const SURNAMES = ['Иванов', 'Петрова', 'Ковалёв', 'Жуковский', 'Ходасевич', 'Цветкова', 'Яковлев', 'Быков']
const FIRMS = ['ООО «Ромашка»', 'ЗАО "Свитязь & Ко"', 'ОДО <Вектор>', 'ИП Сидоров']

export const caseOf = (i: number, parties = usualParties(i)): Case => ({
  number: `2-${i}/2026`,
  parties,
  hearing: `2026-${String((i % 12) + 1).padStart(2, '0')}-${String((i % 28) + 1).padStart(2, '0')}`,
  room: ROOM[i % ROOM.length]!
})

const usualParties = (i: number): string =>
  `${SURNAMES[i % SURNAMES.length]} против ${FIRMS[(i >> 3) % FIRMS.length]}`

/** @param isOpen without a login */
export async function openCourt(count: number, isOpen = false): Promise<Court> {
  const sessions = new Set<string>()
  const forms = new Set<string>()
  let logins = 0
  let reads = 0
  const server = createServer((request, response) => {
    answer(request, response).catch((error: Error) => response.writeHead(500).end(error.message))
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://court')
    const session = /session=(\w+)/.exec(request.headers.cookie ?? '')?.[1]
    if (url.pathname === '/robots.txt') return void response.writeHead(404).end()
    if (url.pathname === '/login' && request.method === 'POST') return enter(request, response)
    if (url.pathname === '/login') return html(response, loginPage())
    if (!isOpen && (session == null || !sessions.has(session)))
      return void response.writeHead(302, { location: '/login' }).end()
    reads++
    html(response, casesPage(Number(url.searchParams.get('page'))))
  }

  function loginPage(): string {
    const form = randomBytes(8).toString('hex')
    forms.add(form)
    return `<h1>Вход</h1><form class="enter" method="post" action="/login">
      <input type="hidden" name="form" value="${form}"><input name="user"><input name="password" type="password">
      <button name="go" value="1">Войти</button></form>`
  }

  async function enter(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = []
    for await (const chunk of request) chunks.push(chunk as Uint8Array)
    const sent = new URLSearchParams(Buffer.concat(chunks).toString())
    const isRight = sent.get('user') === COURT_USER && sent.get('password') === COURT_PASSWORD
    if (!isRight || !forms.delete(sent.get('form') ?? '')) return void response.writeHead(403).end('no')
    const session = randomBytes(8).toString('hex')
    sessions.add(session)
    logins++
    response
      .writeHead(303, { location: '/cases?page=1', 'set-cookie': `session=${session}; Path=/; HttpOnly` })
      .end()
  }

  function casesPage(page: number): string {
    // by chance another order, and something that is never the same
    const order = [...court.cases.values()]
    const pages = Math.max(1, Math.ceil(order.length / PER_PAGE))
    const from = Math.min(page, pages) - 1
    const shown = order.slice(from * PER_PAGE, (from + 1) * PER_PAGE).sort(() => Math.random() - 0.5)
    const head = `<!doctype html><meta charset="utf-8"><title>Список дел</title><a href="/logout">Выйти</a><!-- ${randomBytes(9).toString('hex')} -->`
    if (court.isRebuilt)
      return `${head}<div class="list">${shown.map(({ number }) => `<div class="new-case"><b>${number}</b></div>`).join('')}</div>`
    const rows = shown.map(
      each =>
        `<tr data-nonce="${randomBytes(4).toString('hex')}"><td class="number">${each.number}<td class="parties">${escapeHtml(each.parties)}<td class="hearing">${each.hearing}<td class="room">${each.room}`
    )
    return `${head}<table class="cases"><thead><tr><th>Дело<th>Стороны<th>Заседание<th>Зал<tbody>${rows.join('\n')}</table>`
  }

  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const court: Court = {
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
    cases: new Map(Array.from({ length: count }, (_, i) => caseOf(i)).map(each => [each.number, each])),
    get logins() {
      return logins
    },
    get reads() {
      return reads
    },
    isRebuilt: false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
  return court
}

/** What reads it. */
export const courtRule = (url: string, pages: number) => ({
  name: 'Суд',
  urls: [`${url}/cases?page={page}`],
  pages,
  login: {
    url: `${url}/login`,
    form: 'form.enter',
    fill: { user: { value: COURT_USER }, password: { secret: 'court' } },
    marker: 'Выйти'
  },
  extract: {
    rows: { css: 'table.cases tbody tr' },
    fields: {
      number: { css: '.number' },
      parties: { css: '.parties' },
      hearing: { css: '.hearing' },
      room: { css: '.room' }
    }
  },
  key: ['number'],
  // looked at when it is said
  schedule: '0 0 1 1 *'
})

function html(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(text)
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>]/g, character => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character]!)
