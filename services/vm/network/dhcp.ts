const HEAD_BYTES = 236
const COOKIE = Buffer.from([99, 130, 83, 99])
const [DISCOVER, OFFER, REQUEST, ACK] = [1, 2, 3, 5]
const FOREVER = Buffer.alloc(4, 255)

/** What a guest that asks for an address (RFC 2131) is told: the one there is, for ever. Undefined where it asks for nothing. */
export function dhcpAnswer(asked: Buffer, server: Buffer, address: Buffer): Buffer | undefined {
  if (
    asked.length < HEAD_BYTES + 4 ||
    asked[0] !== 1 ||
    !asked.subarray(HEAD_BYTES, HEAD_BYTES + 4).equals(COOKIE)
  )
    return undefined
  const kind = option(asked.subarray(HEAD_BYTES + 4), 53)?.[0]
  if (kind !== DISCOVER && kind !== REQUEST) return undefined
  const head = Buffer.alloc(HEAD_BYTES)
  head[0] = 2
  // kind and length of the card's address, the number of the question, flags
  asked.copy(head, 1, 1, 3)
  asked.copy(head, 4, 4, 8)
  asked.copy(head, 10, 10, 12)
  address.copy(head, 16)
  server.copy(head, 20)
  asked.copy(head, 28, 28, 44)
  const options: [number, Buffer][] = [
    [53, Buffer.from([kind === DISCOVER ? OFFER : ACK])],
    [54, server],
    [51, FOREVER],
    [1, Buffer.from([255, 255, 255, 0])]
  ]
  const encoded = options.map(([code, value]) => Buffer.concat([Buffer.from([code, value.length]), value]))
  return Buffer.concat([head, COOKIE, ...encoded, Buffer.from([255])])
}

function option(options: Buffer, code: number): Buffer | undefined {
  for (let at = 0; at < options.length; ) {
    const kind = options[at]!
    if (kind === 255) return undefined
    if (kind === 0) {
      at++
      continue
    }
    const length = options[at + 1] ?? 0
    if (kind === code) return options.subarray(at + 2, at + 2 + length)
    at += 2 + length
  }
  return undefined
}
