/** The value of a JSON text that people write: JSON has no byte order mark, but editors begin their files with one. */
export function parseJson(text: string): unknown {
  return JSON.parse(text.replace(/^\uFEFF/, ''))
}
