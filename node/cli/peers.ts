import type { Command } from 'commander'
import type { PeerRow } from '../../services/index.ts'
import { print, table } from './output.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

export function peersCommand(): Command {
  return nodeCommand('peers', 'who the running node is connected to')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  artel peers\n  artel peers --json | jq length')
    .action((options: NodeOptions) =>
      withNode(options, async node => print((await node.network.peers()).items, options, describe))
    )
}

function describe(peers: PeerRow[]): string {
  if (peers.length === 0) return 'no peers; artel doctor says what may be the matter'
  return table(
    ['peer', 'address', 'way', 'rtt', 'slots', 'price', 'accepted', 'failed', 'refuses'],
    peers.map(({ peer, address, direction, rttMs, worker }) => [
      peer,
      // the peer has a column of its own
      address.replace(`/p2p/${peer}`, ''),
      direction === 'inbound' ? 'in' : 'out',
      rttMs == null ? '-' : `${rttMs} ms`,
      worker?.slots ?? '-',
      worker == null ? '-' : `× ${worker.multiplier}`,
      worker?.accepted ?? '-',
      worker?.failed ?? '-',
      worker?.refusal ?? '-'
    ])
  )
}
