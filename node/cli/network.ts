import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import {
  createNetwork,
  loadNetwork,
  loadOrCreateIdentity,
  type NetworkDefinition,
  networkId,
  saveNetwork,
  signNetwork
} from '../../bootstrap/index.ts'
import { InputError } from '../errors.ts'
import { confirm } from './confirm.ts'
import { configOf, someFlags } from './flags.ts'
import { credits, type OutputOptions, print } from './output.ts'

type Options = OutputOptions & Record<string, unknown>

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value]

export function networkCommand(): Command {
  const command = new Command('network').description('make, show and sign network definitions')
  command.addCommand(create())
  command.addCommand(show())
  command.addCommand(sign())
  return command
}

function create(): Command {
  return common(new Command('create').description('found a network, signed with the key in the data folder'))
    .argument('[file]', 'where to write the definition (default: the name and .json)')
    .requiredOption('--name <name>', 'lower-case letters, digits and dashes')
    .option(
      '--with-seed <address>',
      'multiaddr of a seed (repeat for more); without a peer id: this data folder is that seed',
      collect
    )
    .option(
      '--witness <id>',
      'peer id of a witness (repeat for more; default: the seeds, else the founder)',
      collect
    )
    .option('--grant <micro>', 'micro-credits for a new account (default: 100000000, that is 100 credits)')
    .option('--pow-bits <bits>', 'proof of work for the grant', '0')
    .option('--yes', 'replace a file that is there')
    .option('--public', 'without a pre-shared key: who knows a seed can join')
    .addHelpText(
      'after',
      '\nExamples:\n  artel network create --name lab --with-seed /ip4/192.0.2.7/tcp/4411\n  artel seed --network lab.json --listen /ip4/0.0.0.0/tcp/4411\n  artel start --network lab.json   (on every other machine, with a copy of the file)'
    )
    .action(async (path: string | undefined, options: Options & { name: string; yes?: boolean }) => {
      const { name } = options
      const file = path ?? `${name}.json`
      // a definition with its founder's signature cannot be had back
      if (existsSync(file)) await confirm(`${file} is there already; this replaces it.`, options)
      const { privateKey, peerId } = await loadOrCreateIdentity(join(configOf(options).data, 'key'))
      const seeds = (options.withSeed as string[] | undefined) ?? []
      const network = await createNetwork(
        {
          name,
          seeds: seeds.map(seed => (seed.includes('/p2p/') ? seed : `${seed}/p2p/${peerId}`)),
          ...(options.witness == null ? {} : { witnesses: options.witness as string[] }),
          grant: {
            powBits: integer('--pow-bits', options.powBits as string),
            ...(options.grant == null ? {} : { amount: BigInt(integer('--grant', options.grant as string)) })
          },
          ...(options.public === true ? {} : { preSharedKey: randomBytes(32).toString('hex') })
        },
        privateKey
      )
      await saveNetwork(file, network)
      print(network, options, describe)
    })
}

function show(): Command {
  return new Command('show')
    .description('check the signature of a definition and print it')
    .argument('<file>', 'definition')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  artel network show network.json\n  artel network show ~/.artel/network.json --json'
    )
    .action(async (file: string, options: Options) => print(await loadNetwork(file), options, describe))
}

function sign(): Command {
  return common(
    new Command('sign').description('sign an edited definition as its founder; the epoch counts up')
  )
    .argument('<file>', 'definition; it is replaced by the signed one')
    .addHelpText('after', '\nExamples:\n  artel network sign network.json --data ~/.artel-founder')
    .action(async (file: string, options: Options) => {
      const { privateKey } = await loadOrCreateIdentity(join(configOf(options).data, 'key'))
      const edited = await readJson(file)
      const network = await signNetwork({ ...edited, epoch: edited.epoch + 1 }, privateKey)
      await saveNetwork(file, network)
      print(network, options, describe)
    })
}

function common(command: Command): Command {
  return someFlags(command, ['data']).option('--json', 'print JSON')
}

function describe(network: NetworkDefinition): string {
  return [
    `network ${networkId(network)}, epoch ${network.epoch}, signed by ${network.founder}`,
    ...network.seeds.map(seed => `  seed:    ${seed}`),
    ...network.witnesses.map(witness => `  witness: ${witness}`),
    `  grant:   ${credits(network.grant.amount)} credits, ${network.grant.powBits} bits of work`,
    `  private: ${network.preSharedKey == null ? 'no' : 'yes; keep the file secret'}`
  ].join('\n')
}

async function readJson(file: string): Promise<NetworkDefinition> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new InputError(`${file}: ${(error as Error).message}`)
  }
}

function integer(flag: string, text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text)
  throw new InputError(`${flag} takes a whole number, got "${text}"`)
}
