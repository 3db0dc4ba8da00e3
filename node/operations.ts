import { decodeValue, encodeValue } from '../sandbox/value.ts'
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

/** The operations of a node in this process. */
export interface NodeOperations extends Operations {
  /** As `call`, in canonical bytes (sandbox/value.ts): a result that lies there so is passed on as it is. */
  encodedCall(request: CallRequest, options?: Omit<CallOptions<never>, 'body'>): Promise<Uint8Array>
}

export function createOperations({ services }: Pick<ArtelNode, 'services'>): NodeOperations {
  const call: Operations['call'] = ({ service, operation, input }, { onProgress, signal } = {}) =>
    services.call(service, operation, input, {
      caller: OWNER,
      ...(signal == null ? {} : { signal }),
      send: progress => onProgress?.(progress as never)
    })
  const isEncoded = ({ service, operation }: CallRequest): boolean =>
    services.groups.find(({ name }) => name === service)?.operations[operation]?.output === encoded
  return {
    ...operationsOver(async (request, options) => {
      const output = await call(request, options)
      return isEncoded(request) ? decodeValue((output as Encoded).canonical) : output
    }),
    async encodedCall(request, options) {
      const output = await call(request, options)
      return isEncoded(request) ? (output as Encoded).canonical : encodeValue(output)
    }
  }
}
