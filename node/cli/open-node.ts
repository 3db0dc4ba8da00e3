import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { OnTrialError } from '../../bootstrap/index.ts'
import { slots } from '../../services/index.ts'
import { connectControl, controlPath } from '../control.ts'
import { ControlError } from '../errors.ts'
import { createLogger } from '../logger.ts'
import { createOperations, type Operations } from '../operations.ts'
import type { Config } from '../settings.ts'

/** The running node of the data folder, or one of this process: it only submits, or where it is alone works for itself. */
export async function openNode(
  config: Config,
  signal: AbortSignal
): Promise<{ operations: Operations } & AsyncDisposable> {
  if (existsSync(controlPath(config.data))) {
    try {
      const client = await connectControl(config.data)
      return { operations: client, [Symbol.asyncDispose]: async () => client.close() }
    } catch (error) {
      // a socket that a killed node left behind
      if (!(error instanceof ControlError)) throw error
    }
  }
  const { trial, putBack } = await slots.readState(join(config.data, slots.RELEASES))
  // where the trial fails, what is written meanwhile would be undone with it
  if (trial?.isCopied || putBack) throw new OnTrialError()
  const [{ createNode }, { isAlone }] = await Promise.all([
    import('../create-node.ts'),
    import('../find-network.ts')
  ])
  const alone = await isAlone(config)
  const node = await createNode(alone ? { ...config, compute: true } : config, {
    role: 'node',
    founds: alone,
    logger: createLogger({ ...config, logLevel: quieter(config, alone) }),
    signal
  })
  return { operations: createOperations(node), [Symbol.asyncDispose]: () => node.stop() }
}

/** Who runs one job wants its result, and to know why nothing happens; not the news of a node. */
function quieter({ logLevel }: Config, alone: boolean): Config['logLevel'] {
  if (logLevel !== 'info') return logLevel
  return alone ? 'error' : 'warn'
}
