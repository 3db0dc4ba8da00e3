export type Args = Record<string, string | number | boolean>
export interface Action {
  operation: string
  args: Args
}

const LINE = /^([a-z]+\.\w+)((?:\s+\w+=(?:"(?:[^"\\]|\\.)*"|\S+))*)\s*$/i
const ARG = /(\w+)=("(?:[^"\\]|\\.)*"|\S+)/g

/** `sound.volume level=5`; undefined: it is none. */
export function actionOf(text: string): Action | undefined {
  const [, operation, rest = ''] = LINE.exec(text.trim()) ?? []
  if (operation === undefined) return undefined
  const args = [...rest.matchAll(ARG)].map(([, name = '', value = '']) => [name, readValue(value)] as const)
  return { operation, args: Object.fromEntries(args) }
}

/** As `actionOf` reads it. */
export const textOf = ({ operation, args }: Action): string =>
  [operation, ...Object.entries(args).map(([name, value]) => `${name}=${asText(value)}`)].join(' ')

function readValue(text: string): string | number | boolean {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  } catch {
    // a plain word is itself
  }
  return text
}

const asText = (value: string | number | boolean): string =>
  typeof value === 'string' && /^[^\s"]+$/.test(value) && readValue(value) === value
    ? value
    : JSON.stringify(value)
