import { type JsonValue, query } from 'jsonpath-rfc9535'

/** Quoted names, which stay as they are, or one with hyphens. */
const HYPHENS = /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\.([\p{L}_][\p{L}\p{N}_]*-[\p{L}\p{N}_-]*)/gsu

/**
 * What a JSON path (RFC 9535) names: `$.cases[*].court`, `$..number`, `[-1]`, `[?@.state == 'open'].number`. Beyond it `$`
 * may be left out, and names may have hyphens.
 *
 * @throws {SyntaxError} it is no such path
 */
export function readPath(value: unknown, path: string): unknown[] {
  const whole = path.startsWith('$') ? path : `$${/^[.[]/.test(path) ? '' : '.'}${path}`
  return query(
    value as JsonValue,
    whole.replace(HYPHENS, (all, name?: string) => (name == null ? all : `['${name}']`))
  )
}
