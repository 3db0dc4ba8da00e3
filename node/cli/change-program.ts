import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { loadOrCreateIdentity } from '../../bootstrap/index.ts'
import { createSigner } from '../../ledger/index.ts'
import { type Program, slots } from '../../services/index.ts'
import { connectControl, controlPath } from '../control.ts'
import { ControlError } from '../errors.ts'
import type { Config } from '../settings.ts'
import { type SignedRelease, signRelease } from '../signed-release.ts'
import { createUpdates, type Updates } from '../updates.ts'

const LOOK_MS = 500
/** A release that does not work is back within a minute; a machine may be slow to copy its databases. */
const WAIT_MS = 300_000

/**
 * Does it at the node that runs, and waits for what becomes of it; or on its folder, for the next start.
 *
 * @throws {ControlError} no node answers afterwards
 */
export async function change(
  config: Config,
  ask: (updates: Pick<Updates, 'update' | 'rollback'>) => Promise<Program>
): Promise<{ before: Program; after?: Program }> {
  const local = await createLocal(config)
  const before = await local.program()
  const node = await running(config)
  try {
    const asked = await ask(node?.release ?? local)
    if (node == null) return { before: asked }
  } finally {
    node?.close()
  }
  return { before, after: await ended(config, local) }
}

/** Says with the key of this node that a packed release is good. */
export async function sign(config: Config, path: string): Promise<SignedRelease> {
  const { privateKey } = await identityOf(config)
  return signRelease(path, createSigner(privateKey))
}

const identityOf = ({ data }: Config) => loadOrCreateIdentity(join(data, 'key'))

export async function createLocal(config: Config): Promise<Updates> {
  const { peerId } = await identityOf(config)
  return createUpdates({
    data: config.data,
    signers: () => [peerId.toString(), ...config.releaseSigners],
    health: () => [],
    restart: () => {}
  })
}

async function running({ data }: Config): Promise<Awaited<ReturnType<typeof connectControl>> | undefined> {
  if (!existsSync(controlPath(data))) return undefined
  try {
    return await connectControl(data)
  } catch (error) {
    // a socket that a killed node left behind
    if (error instanceof ControlError) return undefined
    throw error
  }
}

/** How it is once nothing is on trial, and a node answers again. */
async function ended(config: Config, local: Updates): Promise<Program> {
  for (const until = performance.now() + WAIT_MS; performance.now() < until; await delay(LOOK_MS)) {
    const { trial, putBack } = await slots.readState(join(config.data, slots.RELEASES))
    if (trial != null || putBack) continue
    const node = await running(config)
    node?.close()
    if (node != null) return local.program()
  }
  throw new ControlError(
    `what becomes of it was not seen within ${WAIT_MS / 1000} s; look with: artel release show, and at the log of the node`
  )
}
