import type { Logger } from '@libp2p/interface'
import { type CallInit, callOperation } from './call-operation.ts'
import { isFault, ServiceDownError, ServiceOffError, UnknownOperationError } from './errors.ts'
import type { Group, Handlers } from './operation.ts'

/** Operations that the node itself answers, not a guest: access, input and deadline are decided as for a service. */
export function createOwnGroups(
  groups: readonly Group[],
  { isKnown, log }: { isKnown(error: Error): boolean; log: Logger }
) {
  const provided = new Map<string, Handlers<Group['operations']>>()
  const stopping = new AbortController()
  const lists = { allowedPeers: [], deniedPeers: [] }

  return {
    provide<G extends Group>(group: G, handlers: Handlers<G['operations']>): void {
      provided.set(group.name, handlers)
    },
    has: (name: string): boolean => groups.some(group => group.name === name),
    async call(name: string, operation: string, input: unknown, init: CallInit): Promise<unknown> {
      const { operations, setting } = groups.find(group => group.name === name)!
      const declared = Object.hasOwn(operations, operation) ? operations[operation] : undefined
      if (declared == null) throw new UnknownOperationError(`${name} has no operation "${operation}"`)
      const handlers = provided.get(name)
      if (handlers == null)
        throw setting == null ? new ServiceDownError(`${name} starts`, 1) : new ServiceOffError(name, setting)
      const what = `${name}.${operation}`
      try {
        const call = { ...init, lists, stopping: stopping.signal }
        return await callOperation(what, declared, handlers[operation] as never, input, call)
      } catch (error) {
        if (init.signal?.aborted !== true && isFault(error as Error, isKnown))
          log.error('%s: %e', what, error)
        throw error
      }
    },
    stop: () => stopping.abort(new ServiceDownError('the node stops'))
  }
}
