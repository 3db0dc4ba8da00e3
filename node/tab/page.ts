import type { TabState } from './contract.ts'
import { type Lending, lend } from './lend.ts'
import { type Choices, CORES, watchLimits } from './limits.ts'
import { openMeter } from './meter.ts'
import { type Texts, textsOf } from './texts.ts'

/*
 * The page on which a browser is lent: by itself at /volunteer, and as a frame in the dashboard, which says after the hash
 * in which language and colours (`#lang=ru&scheme=dark&framed`).
 */

const VERSION = '0'
const SHARES = [100, 75, 50, 25, 10]
const MICRO = 1e6

const root = document.getElementById('lend')!
const meter = openMeter()
let lending: Lending | undefined
let state: Partial<TabState> = {}
let isBusy = false
/** draws what changes while it lends */
let show = (): void => undefined
const limits = await watchLimits(() => {
  lending?.update(limits.limits)
  show()
})
show = draw()
addEventListener('hashchange', () => {
  show = draw()
})

/** The whole page anew. Returns what brings its changing parts up to date. */
function draw(): () => void {
  const asked = new URLSearchParams(location.hash.slice(1))
  const language = asked.get('lang') ?? navigator.language
  const t = textsOf(language)
  const html = document.documentElement
  html.lang = language.startsWith('ru') ? 'ru' : 'en'
  html.dataset.scheme = asked.get('scheme') ?? ''
  html.classList.toggle('framed', asked.has('framed'))
  document.title = `${t.title} · Artel`

  const dot = make('span', { className: 'dot' })
  const said = make('span')
  const status = make('p', { className: 'status' }, dot, said)
  status.setAttribute('role', 'status')
  const button = make('button', { type: 'button' })
  button.addEventListener('click', () => void press())
  const value = (name: string): HTMLElement => {
    const element = make('dd')
    element.dataset.meter = name
    return element
  }
  const figures = [value('slices'), value('time'), value('earned')] as const
  const account = value('account')
  const figure = (name: keyof Texts, element: HTMLElement) =>
    make('div', {}, make('dt', { textContent: t[name] }), element)
  root.replaceChildren(
    make(
      'header',
      {},
      make('h1', { textContent: t.title }),
      make('p', { className: 'quiet', textContent: t.lead })
    ),
    make('section', { className: 'card start' }, status, button),
    make(
      'section',
      { className: 'card' },
      make('h2', { textContent: t.meter }),
      make(
        'dl',
        { className: 'figures' },
        ...(['slices', 'time', 'earned'] as const).map((name, i) => figure(name, figures[i]!))
      ),
      make('dl', {}, figure('account', account))
    ),
    make(
      'form',
      { className: 'card' },
      make('h2', { textContent: t.limits }),
      select(
        t.cores,
        'cores',
        Array.from({ length: CORES }, (_, i) => [i + 1, `${i + 1}`])
      ),
      select(
        t.share,
        'share',
        SHARES.map(each => [each, `${each} %`])
      ),
      ...(limits.knowsBattery ? [checkbox(t.isCharging, 'isCharging')] : []),
      checkbox(t.isSeen, 'isSeen')
    ),
    make('p', { className: 'quiet', textContent: t.walls })
  )

  const show = (): void => {
    const { look, text } = stateOf(t)
    dot.dataset.look = look
    said.textContent = text
    button.textContent = lending == null ? t.start : t.stop
    button.disabled = isBusy
    const { slices, ms, earned } = meter.value
    const number = (n: number, digits: number): string =>
      n.toLocaleString(language, { maximumFractionDigits: digits })
    figures[0].textContent = number(slices, 0)
    figures[1].textContent = `${number(ms / 1000, 1)} ${t.seconds}`
    figures[2].textContent = number(Number(earned) / MICRO, 6)
    account.textContent = state.peer ?? '—'
  }
  show()
  return show
}

type Look = 'off' | 'waiting' | 'on' | 'problem'

function stateOf(t: Texts): { look: Look; text: string } {
  const { problem, nodes = 0, running = 0 } = state
  const { pause } = limits.limits
  if (problem != null) return { look: 'problem', text: t[problem as keyof Texts] ?? problem }
  if (lending == null && !isBusy) return { look: 'off', text: t.off }
  if (running > 0) return { look: 'on', text: t.busy }
  if (pause != null) return { look: 'waiting', text: t[pause] }
  return nodes > 0 ? { look: 'on', text: t.idle } : { look: 'waiting', text: t.connecting }
}

async function press(): Promise<void> {
  const wasLent = lending
  wasLent?.stop()
  lending = undefined
  state = { peer: state.peer }
  if (wasLent == null) await start()
  show()
}

async function start(): Promise<void> {
  isBusy = true
  show()
  meter.begin()
  try {
    lending = await lend({ limits: limits.limits, version: VERSION }, told => {
      if (lending == null) return
      state = { ...state, ...told, problem: told.problem }
      meter.see(told)
      show()
    })
  } catch (error) {
    state = { ...state, problem: (error as Error).message }
  }
  isBusy = false
}

function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: Node[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(name), properties)
  element.append(...children)
  return element
}

function select(text: string, name: 'cores' | 'share', options: [value: number, text: string][]) {
  const input = make(
    'select',
    {},
    ...options.map(([value, text]) => make('option', { value: `${value}`, textContent: text }))
  )
  input.value = `${limits.choices[name]}`
  input.addEventListener('change', () => limits.choose({ [name]: Number(input.value) }))
  return make('label', {}, make('span', { textContent: text }), input)
}

function checkbox(text: string, name: keyof Choices & `is${string}`) {
  const input = make('input', { type: 'checkbox', checked: limits.choices[name] })
  input.addEventListener('change', () => limits.choose({ [name]: input.checked }))
  return make('label', { className: 'check' }, input, make('span', { textContent: text }))
}
