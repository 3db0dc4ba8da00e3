import type { Pause, TabLimits } from './policy.ts'

/** What the person sets, kept in the browser. */
export interface Choices {
  cores: number
  /** % of the time of the cores */
  share: number
  /** not from a battery; browsers without a word on it have none */
  isCharging: boolean
  /** not while the page is hidden */
  isSeen: boolean
}

type Battery = EventTarget & { charging: boolean }

const KEY = 'artel.lend'
/** cores of this computer, as far as the browser tells */
export const CORES = Math.max(1, navigator.hardwareConcurrency)
const USUAL: Choices = { cores: Math.max(1, CORES - 1), share: 50, isCharging: true, isSeen: false }

/** The choices of this browser, and the limits that follow from them now. `onChange`: they are others now. */
export async function watchLimits(onChange: () => void) {
  let choices: Choices = { ...USUAL, ...read<Partial<Choices>>(KEY) }
  choices.cores = Math.min(choices.cores, CORES)
  const { getBattery } = navigator as { getBattery?: () => Promise<Battery> }
  // where a policy forbids it, there is nothing to know
  const battery = await getBattery?.call(navigator).catch(() => undefined)
  battery?.addEventListener('chargingchange', onChange)
  document.addEventListener('visibilitychange', onChange)
  const pause = (): Pause | undefined =>
    choices.isCharging && battery?.charging === false
      ? 'battery'
      : choices.isSeen && document.visibilityState === 'hidden'
        ? 'hidden'
        : undefined
  return {
    knowsBattery: battery != null,
    get choices(): Choices {
      return choices
    },
    get limits(): TabLimits {
      return { cores: choices.cores, share: choices.share / 100, pause: pause() }
    },
    choose(changed: Partial<Choices>): void {
      choices = { ...choices, ...changed }
      localStorage.setItem(KEY, JSON.stringify(choices))
      onChange()
    }
  }
}

export type Limits = Awaited<ReturnType<typeof watchLimits>>

/** What was kept under a name of localStorage, or nothing where it is damaged. */
export function read<T>(name: string): T | undefined {
  try {
    return (JSON.parse(localStorage.getItem(name) ?? 'null') as T) ?? undefined
  } catch {
    return undefined
  }
}
