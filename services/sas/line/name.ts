const TCP = /^tcp:\/\/(\[[\da-f:]+\]|[\w.-]+):(\d{1,5})$/i
const FILE = /^\/[^\0]{1,99}$/

/** Host and port of a line in the network; undefined: a file of this machine. */
export function tcpOf(name: string): { host: string; port: number } | undefined {
  const [, host, port] = TCP.exec(name) ?? []
  return host == null ? undefined : { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

const PLACE = /^(.{1,100}?)(?:#(\d{1,3}))?$/s
/** A machine that nobody polls says its address, which must be no exception: those begin at 0x11. */
export const MAX_ADDRESS = 16

/** A machine's place as its owner writes it, line or line#address; undefined: it is none. */
export function placeOf(text: string): { line: string; address: number } | undefined {
  const [, line, number = '1'] = PLACE.exec(text) ?? []
  const address = Number(number)
  if (line == null || address < 1 || address > MAX_ADDRESS) return undefined
  const port = tcpOf(line)?.port
  return (port == null ? FILE.test(line) : port >= 1 && port < 65_536) ? { line, address } : undefined
}
