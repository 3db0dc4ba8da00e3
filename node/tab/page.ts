import type { TabState } from './contract.ts'
import { type Lending, lend } from './lend.ts'
import { type Texts, textsOf } from './texts.ts'

/*
 * The page on which a browser is lent: by itself at /volunteer, and as a frame in the dashboard.
 */

const VERSION = '0'
const SHARES = [100, 75, 50, 25, 10]
const MICRO = 1e6

const language = new URLSearchParams(location.hash.slice(1)).get('lang') ?? navigator.language
const t = textsOf(language)
document.documentElement.lang = language.startsWith('ru') ? 'ru' : 'en'
document.title = `${t.title} · Artel`

const root = document.getElementById('lend')!
const cores = select(
  t.cores,
  Array.from({ length: Math.max(1, navigator.hardwareConcurrency) }, (_, i) => [`${i + 1}`, `${i + 1}`]),
  `${Math.max(1, navigator.hardwareConcurrency - 1)}`
)
const share = select(
  t.share,
  SHARES.map(each => [`${each}`, `${each} %`]),
  '50'
)
const button = make('button', { type: 'button', textContent: t.start })
const status = make('p', { role: 'status', textContent: t.off })
const meter = make('dl')
const values = new Map<keyof Texts, HTMLElement>()
for (const name of ['slices', 'time', 'earned', 'account'] as const) {
  const value = make('dd', { textContent: name === 'account' ? '—' : '0' })
  value.dataset.meter = name
  values.set(name, value)
  meter.append(make('dt', { textContent: t[name] }), value)
}
const form = make('form')
form.append(cores.label, share.label, button)
root.append(
  make('h1', { textContent: t.title }),
  make('p', { textContent: t.lead }),
  make('p', { textContent: t.walls }),
  form,
  status,
  meter
)

let lending: Lending | undefined
const limits = () => ({ cores: Number(cores.input.value), share: Number(share.input.value) / 100 })

form.addEventListener('change', () => lending?.update(limits()))
button.addEventListener('click', async () => {
  button.disabled = true
  if (lending == null) await start()
  else {
    lending.stop()
    lending = undefined
    status.textContent = t.off
  }
  button.textContent = lending == null ? t.start : t.stop
  button.disabled = false
})

async function start(): Promise<void> {
  status.textContent = t.connecting
  try {
    lending = await lend({ limits: limits(), version: VERSION }, show)
  } catch (error) {
    const { message } = error as Error
    status.textContent = message === 'elsewhere' || message === 'insecure' ? t[message] : message
  }
}

function show({ peer, nodes = 0, running = 0, slices, ms, earned, problem }: Partial<TabState>): void {
  if (lending == null) return
  status.textContent = problem ?? (nodes === 0 ? t.connecting : running > 0 ? t.busy : t.idle)
  const put = (name: keyof Texts, text: string | undefined): void => {
    if (text != null) values.get(name)!.textContent = text
  }
  put('slices', slices?.toLocaleString(language))
  put(
    'time',
    ms == null
      ? undefined
      : `${(ms / 1000).toLocaleString(language, { maximumFractionDigits: 1 })} ${t.seconds}`
  )
  put(
    'earned',
    earned == null
      ? undefined
      : (Number(earned) / MICRO).toLocaleString(language, { maximumFractionDigits: 6 })
  )
  put('account', peer)
}

function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {}
): HTMLElementTagNameMap[K] {
  return Object.assign(document.createElement(name), properties)
}

function select(text: string, options: [value: string, text: string][], chosen: string) {
  const input = make('select')
  input.append(...options.map(([value, text]) => make('option', { value, textContent: text })))
  input.value = chosen
  const label = make('label', { textContent: `${text} ` })
  label.append(input)
  return { label, input }
}
