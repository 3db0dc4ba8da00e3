import { writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { isSignedBy } from '../../../ledger/index.ts'
import { createAgent } from '../../../services/devices/delivery/agent.ts'
import { openChains } from '../../../services/devices/delivery/chains.ts'
import type { Receipt } from '../../../services/devices/delivery/receipt.ts'
import { createWitness } from '../../../services/devices/delivery/witness.ts'
import { createFolderDisk } from '../../../services/devices/log/disk.ts'
import { chainsIn, folderOf } from '../../../services/devices/log/folders.ts'
import { signerFrom } from '../../ledger/helpers.ts'

/*
 * One end of a delivery on a real disk, which kills itself: `killed-device.ts ROLE FOLDER POINT FIRST`. Its parent has the
 * other ends, and answers and asks over IPC. POINT 0: never, and it ends when all is delivered.
 */

const SEGMENT_BYTES = 3_000
const [role, folder, at, first] = process.argv.slice(2) as [string, string, string, string]
const keys = Object.fromEntries(['agent', 'first', 'second'].map(name => [name, signerFrom(`kills ${name}`)]))
const self = keys[role === 'agent' ? 'agent' : 'first']!
const witnesses = [keys.first!.account, keys.second!.account]
const log = Object.assign(() => {}, { error: () => {} })
const { signal } = new AbortController()

let left = Number(at)
function point(): void {
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
}

/** Every call that changes a file has a point before and behind it, and a write one in its middle. */
async function watchFiles(): Promise<void> {
  const handle = await open(import.meta.filename)
  const calls = Object.getPrototypeOf(handle)
  await handle.close()
  const { writeFile, datasync, sync, truncate } = calls
  for (const [name, call] of Object.entries({ datasync, sync, truncate }))
    calls[name] = async function (...values: unknown[]) {
      point()
      const result = await call.apply(this, values)
      point()
      return result
    }
  calls.writeFile = async function (bytes: Uint8Array) {
    const half = bytes.length >> 1
    for (const part of [bytes.subarray(0, half), bytes.subarray(half)]) {
      point()
      await writeFile.call(this, part)
    }
    point()
  }
}

const waiting = new Map<number, PromiseWithResolvers<any>>()
let asked = 0
function ask(to: string, kind: string, request: unknown): Promise<any> {
  const reply = Promise.withResolvers<any>()
  waiting.set(++asked, reply)
  process.send!({ id: asked, to, kind, request })
  return reply.promise
}

await watchFiles()
const chains = await openChains({
  self: self.account,
  isSigned: isSignedBy,
  disk: chain => createFolderDisk(folderOf(folder, chain)),
  there: await chainsIn(folder),
  segmentBytes: SEGMENT_BYTES,
  onFound: () => {}
})

async function beAgent(): Promise<void> {
  const receipts = new Map<string, Receipt>()
  const agent = await createAgent({
    self: self.account,
    fleet: 'kills',
    chains,
    peers: { async *find() {}, ask: ask as never },
    witnesses: () => witnesses,
    receipts: {
      of: () => [...receipts.values()],
      save: (_, receipt) => void receipts.set(receipt.witness, receipt)
    },
    sign: self.sign,
    isSigned: isSignedBy,
    moment: () => ({ boot: 'b', monoMs: 0, timeMs: 0, clock: 'unset' }),
    onWritten: () => {},
    alert: () => {},
    log
  })
  await agent.start(signal)
  for (let id = Number(first); Number(at) > 0; ) {
    const writes = Array.from({ length: 3 }, async () => {
      const mine = id++
      writeSync(1, `asked ${mine}\n`)
      await agent.record({
        class: mine % 2 === 0 ? 'account' : 'sample',
        device: 'd',
        kind: 'k',
        body: { id: mine }
      })
      writeSync(1, `there ${mine}\n`)
    })
    await agent.flush()
    await Promise.all(writes)
    for (const witness of witnesses) await agent.deliver(witness, signal)
  }
  for (const witness of witnesses) while ((await agent.deliver(witness, signal)) !== 'idle');
  process.exit(0)
}

function beWitness(): void {
  const witness = createWitness({
    chains,
    sign: self.sign,
    isSigned: isSignedBy,
    now: () => 0,
    keeps: account => account === keys.agent!.account,
    hasRoom: () => true,
    onWritten: () => {},
    onFork: () => writeSync(1, 'fork\n'),
    log
  })
  process.on('message', async ({ id, kind, request }: { id: number; kind: string; request: any }) => {
    const answer =
      kind === 'append'
        ? await witness.append(keys.agent!.account, request)
        : kind === 'chains'
          ? {
              chains: chains
                .all()
                .map(({ chain, first: oldest, head }) => ({ ...chain, first: oldest, ...head }))
            }
          : { batch: await chains.find(request)?.read(request.from) }
    point()
    process.send!({ id, answer })
  })
  process.send!({ ready: true })
}

if (role === 'agent') {
  process.on('message', ({ id, answer, error }: { id: number; answer: unknown; error?: string }) => {
    const reply = waiting.get(id)
    waiting.delete(id)
    if (error == null) reply?.resolve(answer)
    else reply?.reject(new Error(error))
  })
  await beAgent()
} else beWitness()
