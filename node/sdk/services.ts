import type { Place } from '../../services/index.ts'
import { ArtelError } from './errors.ts'
import type { Http } from './http.ts'
import type { CallOptions, ServiceClients } from './service-types.ts'

/** Calls any operation by its names, also of a service that this program does not know. */
export type CallService = (
  service: string,
  operation: string,
  input?: Record<string, unknown>,
  options?: CallOptions
) => Promise<unknown>

/**
 * The node says where its operations are, once for each connection. Answers are canonical values, in which bigint and
 * bytes are themselves: nothing here guesses from the name of a field.
 */
export function createServiceCalls(http: Http): CallService {
  let known: Promise<{ items: Place[] }> | undefined

  function places(): Promise<{ items: Place[] }> {
    known ??= http.call<{ items: Place[] }>('/api/v1/operations').catch((error: Error) => {
      // the next call asks again
      known = undefined
      throw error
    })
    return known
  }

  return async (service, operation, input = {}, { body, signal } = {}) => {
    const { items } = await places()
    const place = items.find(each => each.service === service && each.operation === operation)
    if (place == null)
      throw new ArtelError('UnknownOperationError', `the node has no operation ${service}.${operation}`)
    const left = { ...input }
    const take = (field: string): string => {
      const value = String(left[field])
      delete left[field]
      return value
    }
    const path = place.path.replace(/:(\w+)/g, (_, field) => encodeURIComponent(take(field)))
    const headers = Object.fromEntries(
      Object.entries(place.headers)
        .filter(([field]) => left[field] !== undefined)
        .map(([field, header]) => [header, take(field)])
    )
    return http.call(path, {
      method: place.method,
      headers,
      again: place.isRepeatable && !(body instanceof ReadableStream),
      answerMs: place.deadlineMs,
      ...(signal == null ? {} : { signal }),
      ...(place.body === 'json'
        ? { value: left }
        : {
            query: Object.fromEntries(Object.entries(left).map(([key, value]) => [key, textOf(value)])),
            ...(place.body === 'bytes' ? { body: { raw: body ?? '' } } : {})
          })
    })
  }
}

const textOf = (value: unknown): string | undefined =>
  value === undefined
    ? undefined
    : Array.isArray(value)
      ? value.join(',')
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value)

/** `services.files.list(…)`; what service and operation are called is only known to the node. */
export function createServiceClients(call: CallService): ServiceClients {
  const method = (service: string) =>
    new Proxy(
      {},
      {
        get: (_, operation) =>
          typeof operation === 'string' && operation !== 'then'
            ? (input: Record<string, unknown>, options: CallOptions) =>
                call(service, operation, input, options)
            : undefined
      }
    )
  return new Proxy({} as ServiceClients, {
    get: (_, service) => (typeof service === 'string' && service !== 'then' ? method(service) : undefined)
  })
}
