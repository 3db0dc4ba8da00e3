/**
 * The text of tokens as it grows, up to the first of the texts that end it. A piece is told when no later token can change it:
 * a character may come in several tokens, and what ends the text too.
 */
export function growingText(decode: (ids: number[]) => string, stops: readonly string[]) {
  const ids: number[] = []
  let told = 0
  /** how much of a text may be the beginning of what ends it */
  const held = (text: string): number => {
    for (
      let size = Math.min(text.length, Math.max(0, ...stops.map(({ length }) => length - 1)));
      size > 0;
      size--
    )
      if (stops.some(stop => stop.startsWith(text.slice(-size)))) return size
    return 0
  }
  const take = (text: string, to: number): string => {
    const piece = text.slice(told, to)
    told = Math.max(told, to)
    return piece
  }
  return {
    /** What there is more to tell with this token, and whether the text has ended. */
    add(id: number): { piece: string; hasEnded: boolean } {
      ids.push(id)
      const text = decode(ids)
      const ends = stops.map(stop => text.indexOf(stop)).filter(at => at >= 0)
      if (ends.length > 0) return { piece: take(text, Math.min(...ends)), hasEnded: true }
      // half a character
      let end = text.length
      while (text[end - 1] === '\ufffd') end--
      const whole = text.slice(0, end)
      return { piece: take(whole, end - held(whole)), hasEnded: false }
    },
    /** What was held back, where nothing comes any more. */
    rest(): string {
      const text = decode(ids)
      return take(text, text.length)
    }
  }
}
