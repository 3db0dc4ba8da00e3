import { decodeValue } from '../sandbox/index.ts'
import {
  type CallOptions,
  type Clients,
  type Encoded,
  encoded,
  OWN_GROUPS,
  OWNER
} from '../services/index.ts'
import type { ArtelNode } from './contract.ts'
import { createClients } from './sdk/services.ts'

type OwnClients = Clients<(typeof OWN_GROUPS)[number]>

/** What the owner asks of a node, in this process or through the control socket: `credits.balance()`. */
export interface Operations extends OwnClients {
  /** Calls any operation, also of a service. */
  call(request: CallRequest, options?: Omit<CallOptions<never>, 'body'>): Promise<unknown>
}

export interface CallRequest {
  service: string
  operation: string
  input: unknown
}

/** The operations over any way of calling. */
export function operationsOver(call: Operations['call']): Operations {
  const clients = createClients<OwnClients>((service, operation, input = {}, options = {}) =>
    call({ service, operation, input }, options as Omit<CallOptions<never>, 'body'>)
  )
  const own = Object.fromEntries(OWN_GROUPS.map(({ name }) => [name, clients[name]]))
  return { ...(own as unknown as OwnClients), call }
}

export function createOperations({ services }: Pick<ArtelNode, 'services'>): Operations {
  return operationsOver(async ({ service, operation, input }, { onProgress, signal } = {}) => {
    const output = await services.call(service, operation, input, {
      caller: OWNER,
      ...(signal == null ? {} : { signal }),
      send: progress => onProgress?.(progress as never)
    })
    const declared = services.groups.find(({ name }) => name === service)?.operations[operation]
    return declared?.output === encoded ? decodeValue((output as Encoded).canonical) : output
  })
}
