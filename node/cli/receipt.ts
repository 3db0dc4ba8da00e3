import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { verifyReceipt } from '../../ledger/index.ts'
import { type Compute, toWire } from '../../services/index.ts'
import { InputError } from '../errors.ts'
import { credits, type OutputOptions, print, table } from './output.ts'
import { type NodeOptions, nodeCommand, withNode } from './with-node.ts'

export function receiptCommand(): Command {
  const command = new Command('receipt').description('signed proofs of work, one per slice')
  command.addCommand(show())
  command.addCommand(verify())
  return command
}

function show(): Command {
  return nodeCommand('show', 'receipts of a job that this node submitted')
    .argument('<job>', 'id of the job')
    .option('--out <folder>', 'write each receipt to a file in this folder')
    .option('--json', 'print JSON; receipts in base64')
    .addHelpText(
      'after',
      '\nExamples:\n  artel receipt show 4f9c11d2a0b3e877\n  artel receipt show 4f9c11d2a0b3e877 --out receipts'
    )
    .action((job: string, options: NodeOptions & { out?: string }) =>
      withNode(options, async node => {
        const { items: receipts } = await node.compute.receipts({ id: job })
        if (receipts.length === 0)
          throw new InputError(`job: ${job} has no receipts; artel history shows jobs that were paid`)
        if (options.out != null) await write(options.out, receipts)
        print(JSON.parse(toWire(receipts)), options, () => describe(receipts))
      })
    )
}

async function write(folder: string, receipts: Compute.ReceiptRow[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const { slice, worker, receipt } of receipts)
    await writeFile(join(folder, `${slice}-${worker}.receipt`), receipt)
}

const describe = (receipts: Compute.ReceiptRow[]): string =>
  table(
    ['slice', 'worker', 'bytes'],
    receipts.map(({ slice, worker, receipt }) => [slice, worker, receipt.length])
  )

function verify(): Command {
  return new Command('verify')
    .description('check a receipt with nothing but its file: no node, no network')
    .argument('<file>', 'as `receipt show --out` writes it')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  artel receipt verify receipts/1-12D3KooW….receipt')
    .action(async (file: string, options: OutputOptions) => {
      const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
        throw new InputError(
          `file: cannot read ${file} (${error.code}); name a file that \`artel receipt show --out\` wrote`
        )
      })
      const { digest, root, ...receipt } = verifyReceipt(bytes)
      const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')
      print(
        { valid: true, ...receipt, digest: hex(digest), root: hex(root) },
        options,
        ({ worker, requester, job, slice, amount }) =>
          `valid: ${worker} did slice ${slice} of job ${job}, and ${requester} accepted it for ${credits(amount)} credits; result ${hex(digest)}`
      )
    })
}
