const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g

/**
 * The line, from 1, of what a path leads to in a text that JSON.parse takes; where it leads nowhere, as to a field that is
 * missing, that of the innermost thing on the way. Pure.
 */
export function lineOf(text: string, path: readonly PropertyKey[]): number {
  const open: { isList: boolean; key: string | number }[] = []
  let found = { depth: 0, offset: 0 }
  let name = { text: '', offset: 0 }
  let before = ''
  const meet = (offset: number): void => {
    const isOnTheWay = open.every(({ key }, i) => String(key) === String(path[i]))
    if (isOnTheWay && open.length > found.depth) found = { depth: open.length, offset }
  }
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const inside = open.at(-1)
    if (token === '}' || token === ']') open.pop()
    else if (token === ',') {
      if (inside?.isList) inside.key = Number(inside.key) + 1
    } else if (token === ':') {
      inside!.key = name.text
      meet(name.offset)
    } else if (inside != null && !inside.isList && before !== ':') {
      name = { text: JSON.parse(token) as string, offset: index }
    } else {
      if (inside?.isList) meet(index)
      if (token === '{' || token === '[') open.push({ isList: token === '[', key: 0 })
    }
    before = token
  }
  return text.slice(0, found.offset).split('\n').length
}

/** The line, from 1, at which a text stops being the beginning of JSON. Pure. */
export function lineOfFault(text: string): number {
  const lines = text.split('\n')
  let [right, wrong] = [0, lines.length]
  while (wrong - right > 1) {
    const middle = (right + wrong) >> 1
    if (isBroken(lines.slice(0, middle).join('\n'))) wrong = middle
    else right = middle
  }
  return wrong
}

function isBroken(text: string): boolean {
  try {
    JSON.parse(text)
    return false
  } catch (error) {
    const { message } = error as Error
    // what lacks its end only is told as a fault at its end
    const at = / at position (\d+)/.exec(message)?.[1]
    return at == null ? message.startsWith('Unexpected token') : Number(at) < text.length
  }
}
