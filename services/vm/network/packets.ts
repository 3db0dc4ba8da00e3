/* The few formats that a guest and its gateway speak: Ethernet II, ARP (RFC 826), IPv4 (RFC 791), UDP, TCP (RFC 9293). */

export const ARP = 0x0806
export const IPV4 = 0x0800
export const UDP = 17
export const TCP = 6
export const FIN = 1
export const SYN = 2
export const RST = 4
export const PSH = 8
export const ACK = 16
const ETHERNET_BYTES = 14
const IP_BYTES = 20
const TCP_BYTES = 20
const UDP_BYTES = 8
const TTL = 64

export interface Segment {
  from: number
  to: number
  seq: number
  ack: number
  flags: number
  window: number
  /** of a SYN: the largest payload that its sender takes */
  mss?: number
  payload: Buffer
}

export interface Packet {
  protocol: number
  from: Buffer
  to: Buffer
  payload: Buffer
}

export function ethernet(to: Buffer, from: Buffer, type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(ETHERNET_BYTES)
  to.copy(head, 0)
  from.copy(head, 6)
  head.writeUInt16BE(type, 12)
  return Buffer.concat([head, payload])
}

export function openEthernet(frame: Buffer): { from: Buffer; type: number; payload: Buffer } | undefined {
  if (frame.length < ETHERNET_BYTES) return undefined
  return {
    from: frame.subarray(6, 12),
    type: frame.readUInt16BE(12),
    payload: frame.subarray(ETHERNET_BYTES)
  }
}

/** Undefined where it is none, or a fragment: on one wire nothing is fragmented. */
export function openIp(bytes: Buffer): Packet | undefined {
  if (bytes.length < IP_BYTES || bytes[0]! >> 4 !== 4) return undefined
  const head = (bytes[0]! & 15) * 4
  const total = bytes.readUInt16BE(2)
  const isFragment = (bytes.readUInt16BE(6) & 0x3fff) !== 0
  if (head < IP_BYTES || total < head || total > bytes.length || isFragment) return undefined
  return {
    protocol: bytes[9]!,
    from: bytes.subarray(12, 16),
    to: bytes.subarray(16, 20),
    payload: bytes.subarray(head, total)
  }
}

export function ip({ protocol, from, to, payload }: Packet): Buffer {
  const head = Buffer.alloc(IP_BYTES)
  head[0] = 0x45
  head.writeUInt16BE(IP_BYTES + payload.length, 2)
  head[8] = TTL
  head[9] = protocol
  from.copy(head, 12)
  to.copy(head, 16)
  head.writeUInt16BE(checksum([head]), 10)
  return Buffer.concat([head, payload])
}

export function openUdp(bytes: Buffer): { from: number; to: number; payload: Buffer } | undefined {
  if (bytes.length < UDP_BYTES) return undefined
  const length = bytes.readUInt16BE(4)
  if (length < UDP_BYTES || length > bytes.length) return undefined
  return {
    from: bytes.readUInt16BE(0),
    to: bytes.readUInt16BE(2),
    payload: bytes.subarray(UDP_BYTES, length)
  }
}

export function udp(fromIp: Buffer, toIp: Buffer, from: number, to: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(UDP_BYTES)
  head.writeUInt16BE(from, 0)
  head.writeUInt16BE(to, 2)
  head.writeUInt16BE(UDP_BYTES + payload.length, 4)
  // a sum of zero says that there is none
  head.writeUInt16BE(
    checksum([pseudo(fromIp, toIp, UDP, UDP_BYTES + payload.length), head, payload]) || 0xffff,
    6
  )
  return Buffer.concat([head, payload])
}

export function openTcp(bytes: Buffer): Segment | undefined {
  if (bytes.length < TCP_BYTES) return undefined
  const head = (bytes[12]! >> 4) * 4
  if (head < TCP_BYTES || head > bytes.length) return undefined
  return {
    from: bytes.readUInt16BE(0),
    to: bytes.readUInt16BE(2),
    seq: bytes.readUInt32BE(4),
    ack: bytes.readUInt32BE(8),
    flags: bytes[13]! & 63,
    window: bytes.readUInt16BE(14),
    mss: mssOf(bytes.subarray(TCP_BYTES, head)),
    payload: bytes.subarray(head)
  }
}

export function tcp(fromIp: Buffer, toIp: Buffer, segment: Segment): Buffer {
  const options =
    segment.mss === undefined ? Buffer.alloc(0) : Buffer.from([2, 4, segment.mss >> 8, segment.mss & 255])
  const head = Buffer.alloc(TCP_BYTES)
  head.writeUInt16BE(segment.from, 0)
  head.writeUInt16BE(segment.to, 2)
  head.writeUInt32BE(segment.seq, 4)
  head.writeUInt32BE(segment.ack, 8)
  head[12] = ((TCP_BYTES + options.length) / 4) << 4
  head[13] = segment.flags
  head.writeUInt16BE(segment.window, 14)
  const length = TCP_BYTES + options.length + segment.payload.length
  const parts = [head, options, segment.payload]
  head.writeUInt16BE(checksum([pseudo(fromIp, toIp, TCP, length), ...parts]), 16)
  return Buffer.concat(parts)
}

/** The largest payload that the options of a SYN name. */
function mssOf(options: Buffer): number | undefined {
  for (let at = 0; at < options.length; ) {
    const kind = options[at]!
    if (kind === 0) return undefined
    if (kind === 1) {
      at++
      continue
    }
    const length = options[at + 1] ?? 0
    if (length < 2 || at + length > options.length) return undefined
    if (kind === 2 && length === 4) return options.readUInt16BE(at + 2)
    at += length
  }
  return undefined
}

function pseudo(from: Buffer, to: Buffer, protocol: number, length: number): Buffer {
  return Buffer.concat([from, to, Buffer.from([0, protocol, length >> 8, length & 255])])
}

/** RFC 1071, over parts of which all but the last have an even length. */
export function checksum(parts: readonly Buffer[]): number {
  let sum = 0
  for (const part of parts) {
    const even = part.length & ~1
    for (let at = 0; at < even; at += 2) sum += (part[at]! << 8) | part[at + 1]!
    if (even < part.length) sum += part[even]! << 8
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}
