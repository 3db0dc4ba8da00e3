/**
 * A text as one word of a POSIX shell, whatever it holds. The only way in which anything that came from outside gets
 * into a command line.
 *
 * @throws {RangeError} a zero byte: no word of a shell can hold one
 */
export function quote(text: string): string {
  if (text.includes('\0')) throw new RangeError('a text for a TV holds a zero byte')
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** A command line out of words. */
export const commandLine = (...words: (string | number)[]): string =>
  words.map(word => quote(String(word))).join(' ')
