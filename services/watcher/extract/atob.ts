const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Behind the walls there is none, and the parser's table of entities is written so. */
export function atob(text: string): string {
  let out = ''
  let bits = 0
  let count = 0
  for (const character of text) {
    const value = ALPHABET.indexOf(character)
    if (value === -1) continue
    bits = ((bits << 6) | value) & 0xffff
    count += 6
    if (count < 8) continue
    count -= 8
    out += String.fromCharCode((bits >> count) & 0xff)
  }
  return out
}
