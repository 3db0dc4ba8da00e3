/*
 * A spec as text that a person edits: an object of JavaScript in which functions are functions.
 */

const FUNCTIONS = new Set(['map', 'partial', 'reduce', 'fn', 'source'])
const NAME = /^[A-Za-z_$][\w$]*$/
const IS_FUNCTION = /^\s*(async\s+)?(function\b|\(|[A-Za-z_$][\w$]*\s*=>)/
const LINE_CHARS = 90
/** What the node adds where nothing was said. */
const DEFAULTS: Record<string, string> = {
  priority: '"normal"',
  requirements: '{}',
  privacy: '{}',
  retries: '3',
  memoize: 'false',
  step: '1',
  exact: 'false'
}

/** `{ type: 'map', fn: x => x + 1 }` from the JSON of it. Pure. */
export function writeSpec(spec: unknown): string {
  const short =
    typeof spec === 'object' && spec !== null && !Array.isArray(spec)
      ? Object.fromEntries(
          Object.entries(spec).filter(([key, value]) => DEFAULTS[key] !== JSON.stringify(value))
        )
      : spec
  return write(short, '', '')
}

function write(value: unknown, key: string, indent: string): string {
  if (typeof value === 'string') {
    if (key !== 'source' && FUNCTIONS.has(key) && IS_FUNCTION.test(value)) return value
    return value.includes('\n') && !/[`\\]|\$\{/.test(value) ? `\`${value}\`` : quote(value)
  }
  if (typeof value !== 'object' || value === null) return String(value)
  const inner = `${indent}  `
  const parts = Array.isArray(value)
    ? value.map(each => write(each, '', inner))
    : Object.entries(value).map(
        ([name, each]) => `${NAME.test(name) ? name : quote(name)}: ${write(each, name, inner)}`
      )
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
  if (parts.length === 0) return `${open}${close}`
  const line = Array.isArray(value) ? `[${parts.join(', ')}]` : `{ ${parts.join(', ')} }`
  if (indent !== '' && line.length + indent.length <= LINE_CHARS && !line.includes('\n')) return line
  return `${open}\n${parts.map(part => inner + part).join(',\n')}\n${indent}${close}`
}

function quote(text: string): string {
  const json = JSON.stringify(text)
  return text.includes("'") ? json : `'${json.slice(1, -1).replaceAll('\\"', '"')}'`
}
