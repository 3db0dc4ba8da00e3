/**
 * A text as messages of at most `max` characters (UTF-16), cut at the end of a line or word where there is one in the
 * second half, and never inside a character.
 */
export function split(text: string, max: number): string[] {
  const parts: string[] = []
  let rest = text
  while (rest.length > max) {
    const at = placeToCut(rest, max)
    parts.push(rest.slice(0, at))
    rest = rest.slice(at)
  }
  return [...parts, rest]
}

function placeToCut(text: string, max: number): number {
  for (const mark of ['\n', ' ']) {
    const at = text.lastIndexOf(mark, max - 1) + 1
    if (at > max / 2) return at
  }
  // a pair of surrogates is one character
  return /[\uD800-\uDBFF]/.test(text[max - 1]!) ? max - 1 : max
}
