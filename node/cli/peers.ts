import { Command } from 'commander'
import { connectControl } from '../control.ts'
import type { PeerRow } from '../operations.ts'
import { configOf, settingFlags } from './flags.ts'
import { type OutputOptions, print, table } from './output.ts'

export function peersCommand(): Command {
  return settingFlags(new Command('peers').description('who the running node is connected to'), ['data'])
    .option('--json', 'print JSON')
    .option('--verbose', 'errors with their stack')
    .addHelpText('after', '\nExamples:\n  artel peers\n  artel peers --json | jq length')
    .action(async (options: OutputOptions & Record<string, unknown>) => {
      const node = await connectControl(configOf(options).data)
      try {
        print(await node.peers(), options, describe)
      } finally {
        node.close()
      }
    })
}

function describe(peers: PeerRow[]): string {
  if (peers.length === 0) return 'no peers'
  return table(
    ['peer', 'address', 'direction', 'rtt', 'slots', 'price', 'accepted', 'failed', 'refuses'],
    peers.map(({ peer, address, direction, rttMs, worker }) => [
      peer,
      address,
      direction,
      rttMs == null ? '-' : `${rttMs} ms`,
      worker?.slots ?? '-',
      worker == null ? '-' : `× ${worker.multiplier}`,
      worker?.accepted ?? '-',
      worker?.failed ?? '-',
      worker?.refusal ?? '-'
    ])
  )
}
