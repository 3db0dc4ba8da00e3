/** A piece of a message as it is shown. */
export type Piece =
  | { kind: 'plain' | 'bold' | 'italic' | 'code' | 'block'; text: string }
  | { kind: 'link'; text: string; url: string }

/** Each alternative ends at a letter that it cannot hold, so that no text takes long. */
const MARKS =
  /```\n?(?<block>[^`]+)```|`(?<code>[^`\n]+)`|\*\*(?<bold>[^*\n]+)\*\*|(?<![\w*])\*(?<italic>[^*\s][^*\n]*)\*(?!\w)|(?<link>https?:\/\/[^\s<>"`]+)/gu
/** What ends a sentence rather than an address. */
const TAIL = /[.,:;!?)\]}'»”*]+$/u

/**
 * The little of Markdown that a chat needs: bold, italic, code, and addresses of the web as links. Everything else, and
 * markup above all, is text. Pure.
 */
export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = []
  let at = 0
  const plain = (end: number): void => {
    if (end > at) pieces.push({ kind: 'plain', text: text.slice(at, end) })
  }
  for (const match of text.matchAll(MARKS)) {
    const found = Object.entries(match.groups!).find(([, value]) => value !== undefined)!
    const [kind, value] = found as [Exclude<Piece['kind'], 'plain'>, string]
    const piece = kind === 'link' ? linkOf(value) : { kind, text: value }
    if (piece === undefined) continue
    plain(match.index)
    pieces.push(piece)
    at = match.index + (piece.kind === 'link' ? piece.text.length : match[0].length)
  }
  plain(text.length)
  return pieces
}

function linkOf(found: string): Piece | undefined {
  const text = found.replace(TAIL, '')
  const url = URL.parse(text)
  // with a name before the host it looks like another one
  if (url === null || url.username !== '' || url.password !== '') return undefined
  return { kind: 'link', text, url: url.href }
}
