/** A list as spreadsheets save it: UTF-8, or what Windows in Russia writes. Pure. */
export function readList(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder('windows-1251').decode(bytes)
  }
}
