/** What an image is by its first bytes: of others no decoder is tried. Pure. */
export function kindOf(bytes: Uint8Array): 'png' | 'jpeg' | 'webp' | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 16)).toString('latin1')
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'png'
  if (text.startsWith('\xff\xd8\xff')) return 'jpeg'
  return text.startsWith('RIFF') && text.startsWith('WEBP', 8) ? 'webp' : undefined
}
