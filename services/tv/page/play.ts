const HEAD_BYTES = 5
const SETTINGS = 7
/** more than that wait to be decoded: the next are left out, until a key picture */
const MAX_WAITING = 30

/**
 * Draws what a node tells of a TV's screen until it ends.
 *
 * @throws {Error} it cannot be decoded here, or broke off
 */
export async function playOn(canvas: HTMLCanvasElement, body: ReadableStream<Uint8Array>): Promise<void> {
  const context = canvas.getContext('2d')!
  let decoder: VideoDecoder | undefined
  let codec: string | undefined
  let count = 0

  async function begin(next: string): Promise<VideoDecoder> {
    const config = { codec: next, optimizeForLatency: true }
    const { supported } = await VideoDecoder.isConfigSupported(config)
    if (supported !== true) throw new Error(`this browser does not decode ${next}`)
    const made = new VideoDecoder({
      output(frame) {
        canvas.width = frame.displayWidth
        canvas.height = frame.displayHeight
        context.drawImage(frame, 0, 0)
        frame.close()
      },
      // it is closed then, and begun anew at the next key picture
      error: () => undefined
    })
    made.configure(config)
    return made
  }

  function close(): void {
    if (decoder !== undefined && decoder.state !== 'closed') decoder.close()
  }

  try {
    for await (const { isKey, bytes } of picturesOf(body)) {
      if (isKey) {
        const next = codecOf(bytes) ?? codec
        if (next !== undefined && (next !== codec || decoder?.state !== 'configured')) {
          close()
          codec = next
          decoder = await begin(next)
        }
      }
      if (decoder?.state !== 'configured') continue
      if (decoder.decodeQueueSize > MAX_WAITING) decoder.reset()
      else
        decoder.decode(
          new EncodedVideoChunk({ type: isKey ? 'key' : 'delta', timestamp: count++, data: bytes })
        )
    }
  } finally {
    close()
  }
}

/** Length, whether it is a key picture, picture; however the bytes come. */
export async function* picturesOf(
  body: ReadableStream<Uint8Array>
): AsyncGenerator<{ isKey: boolean; bytes: Uint8Array }> {
  const reader = body.getReader()
  let chunks: Uint8Array[] = []
  let held = 0
  let wanted = HEAD_BYTES
  try {
    for (;;) {
      while (held >= wanted) {
        const all = joined(chunks, held)
        const length = new DataView(all.buffer, all.byteOffset).getUint32(0)
        chunks = [all]
        wanted = HEAD_BYTES + length
        if (held < wanted) break
        yield { isKey: all[4] === 1, bytes: all.slice(HEAD_BYTES, wanted) }
        chunks = [all.subarray(wanted)]
        held -= wanted
        wanted = HEAD_BYTES
      }
      const { done, value } = await reader.read()
      if (done) return
      chunks.push(value)
      held += value.length
    }
  } finally {
    void reader.cancel().catch(() => undefined)
  }
}

function joined(chunks: Uint8Array[], length: number): Uint8Array {
  if (chunks.length === 1) return chunks[0]!
  const all = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

/** `avc1.` and three bytes of the settings that stand before a key picture (RFC 6381). */
export function codecOf(bytes: Uint8Array): string | undefined {
  for (let i = 0; i + 6 < bytes.length; i++)
    if (bytes[i] === 0 && bytes[i + 1] === 0 && bytes[i + 2] === 1 && (bytes[i + 3]! & 0x1f) === SETTINGS)
      return `avc1.${[...bytes.subarray(i + 4, i + 7)].map(each => each.toString(16).padStart(2, '0')).join('')}`
  return undefined
}
