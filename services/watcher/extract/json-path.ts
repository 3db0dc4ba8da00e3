/**
 * The part of JSON path (RFC 9535) that names one place or all of a list: `$.cases[*].court`, `[0]`, `['full name']`.
 * What is not there is an empty list.
 *
 * @throws {SyntaxError} the path is something else
 */
export function readPath(value: unknown, path: string): unknown[] {
  let found = [value]
  const steps = /\.?\*|\.?([\p{L}_][\p{L}\p{N}_-]*)|\[(?:(\d{1,9})|(\*)|'([^']*)'|"([^"]*)")\]/uy
  steps.lastIndex = path.startsWith('$') ? 1 : 0
  while (steps.lastIndex < path.length) {
    const from = steps.lastIndex
    const step = steps.exec(path)
    if (step == null) throw new SyntaxError(`the path ${path} cannot be read from "${path.slice(from)}" on`)
    const key = step[1] ?? step[2] ?? step[4] ?? step[5]
    found = found.flatMap(each => {
      if (each == null || typeof each !== 'object') return []
      if (key == null) return Object.values(each)
      return Object.hasOwn(each, key) ? [(each as Record<string, unknown>)[key]] : []
    })
  }
  return found
}
