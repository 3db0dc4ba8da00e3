/** Enough for what a page says of itself (HTML, "prescan"). */
const HEAD_BYTES = 1024

/**
 * The text of an answer: by the charset of its header, of its head, else UTF-8. Bytes that are wrong become U+FFFD.
 *
 * @param contentType header
 */
export function decodeText(bytes: Uint8Array, contentType = ''): string {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, HEAD_BYTES))
  const named =
    /charset\s*=\s*["']?([\w.:-]{1,40})/i.exec(contentType) ??
    /<meta[^>]{0,200}charset\s*=\s*["']?([\w.:-]{1,40})/i.exec(head) ??
    /^<\?xml[^>]{0,200}encoding\s*=\s*["']([\w.:-]{1,40})/i.exec(head)
  return decoder(named?.[1]).decode(bytes)
}

function decoder(charset = 'utf-8'): TextDecoder {
  try {
    return new TextDecoder(charset)
  } catch {
    // a name that nobody knows
    return new TextDecoder()
  }
}
