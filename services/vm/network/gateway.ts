import { randomInt } from 'node:crypto'
import { Connection } from './connection.ts'
import { dhcpAnswer } from './dhcp.ts'
import {
  ACK,
  ARP,
  ethernet,
  IPV4,
  ip,
  openEthernet,
  openIp,
  openTcp,
  openUdp,
  RST,
  type Segment,
  TCP,
  tcp,
  UDP,
  udp
} from './packets.ts'

/** As QEMU's own user network has them. */
export const GATEWAY = Buffer.from([10, 0, 2, 2])
export const GUEST = Buffer.from([10, 0, 2, 15])
export const GATEWAY_MAC = Buffer.from([0x52, 0x55, 10, 0, 2, 2])
const EVERYBODY = Buffer.alloc(4, 255)
const EVERYBODY_MAC = Buffer.alloc(6, 255)
const FIRST_PORT = 49_152
const MOST_CONNECTIONS = 64
const [DHCP_SERVER, DHCP_CLIENT] = [67, 68]

/** The other end of a guest's network card: a wire on which there is nobody else. */
export interface Gateway {
  /** a frame of the guest; whatever it says, nothing of the host is reached by it */
  receive(frame: Buffer): void
  /** Opens a port of the guest. @throws Error where too many are open */
  connect(port: number): Connection
  close(): void
}

/**
 * Gives the guest its address (DHCP), says where the gateway is (ARP), and opens connections into the guest. It takes
 * none and passes nothing on: there is no way out.
 *
 * @param send takes a frame for the guest
 */
export function createGateway(mac: Buffer, send: (frame: Buffer) => void): Gateway {
  const connections = new Map<number, { connection: Connection; to: number }>()
  let lastPort = FIRST_PORT

  const say = (segment: Segment) =>
    send(
      ethernet(
        mac,
        GATEWAY_MAC,
        IPV4,
        ip({ protocol: TCP, from: GATEWAY, to: GUEST, payload: tcp(GATEWAY, GUEST, segment) })
      )
    )

  function hearArp(payload: Buffer) {
    const isQuestion = payload.length >= 28 && payload.readUInt16BE(6) === 1
    if (!isQuestion || !payload.subarray(24, 28).equals(GATEWAY)) return
    const [mac, ip] = [payload.subarray(8, 14), payload.subarray(14, 18)]
    const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, 2])
    send(ethernet(mac, GATEWAY_MAC, ARP, Buffer.concat([head, GATEWAY_MAC, GATEWAY, mac, ip])))
  }

  function hearUdp(payload: Buffer) {
    const datagram = openUdp(payload)
    if (datagram?.to !== DHCP_SERVER) return
    const answer = dhcpAnswer(datagram.payload, GATEWAY, GUEST)
    if (answer === undefined) return
    const body = udp(GATEWAY, EVERYBODY, DHCP_SERVER, DHCP_CLIENT, answer)
    send(
      ethernet(
        EVERYBODY_MAC,
        GATEWAY_MAC,
        IPV4,
        ip({ protocol: UDP, from: GATEWAY, to: EVERYBODY, payload: body })
      )
    )
  }

  function hearTcp(payload: Buffer) {
    const segment = openTcp(payload)
    if (segment === undefined) return
    const known = connections.get(segment.to)
    if (known?.to === segment.from) known.connection.receive(segment)
    else if ((segment.flags & RST) === 0)
      // nothing listens here
      say({
        ...{ from: segment.to, to: segment.from, window: 0, flags: RST | ACK, payload: Buffer.alloc(0) },
        seq: (segment.flags & ACK) === 0 ? 0 : segment.ack,
        ack: (segment.seq + Math.max(1, segment.payload.length)) >>> 0
      })
  }

  return {
    receive(frame) {
      const opened = openEthernet(frame)
      if (opened?.type === ARP) return hearArp(opened.payload)
      const packet = opened?.type === IPV4 ? openIp(opened.payload) : undefined
      if (packet?.protocol === UDP) hearUdp(packet.payload)
      else if (packet?.protocol === TCP && packet.to.equals(GATEWAY)) hearTcp(packet.payload)
    },
    connect(port) {
      if (connections.size >= MOST_CONNECTIONS)
        throw new Error(`${MOST_CONNECTIONS} connections into this guest are open already`)
      do lastPort = lastPort === 65_535 ? FIRST_PORT : lastPort + 1
      while (connections.has(lastPort))
      const from = lastPort
      const connection = new Connection(segment => say({ ...segment, from, to: port }), randomInt(2 ** 32))
      connections.set(from, { connection, to: port })
      connection.on('error', () => {}) // who reads it sees it
      connection.once('close', () => connections.delete(from))
      return connection
    },
    close() {
      for (const { connection } of connections.values()) connection.destroy()
    }
  }
}
