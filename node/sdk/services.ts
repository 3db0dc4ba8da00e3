import { raceSignal } from 'race-signal'
import type { CallByName, CallOptions, Place } from '../../services/index.ts'
import { ArtelError } from './errors.ts'
import type { Http } from './http.ts'

/**
 * The node says where its operations are, once for each connection. Answers are canonical values, in which bigint and
 * bytes are themselves: nothing here guesses from the name of a field.
 */
export function createServiceCalls(http: Http): CallByName {
  let known: Promise<{ items: Place[] }> | undefined

  function places({ signal, again }: CallOptions): Promise<{ items: Place[] }> {
    const asked = known ?? http.call<{ items: Place[] }>('/api/v1/operations', { again })
    // others who wait do not wait in vain for one that is not tried again
    if (again !== false) known = asked
    asked.then(
      found => {
        known = Promise.resolve(found)
      },
      () => {
        // the next call asks again
        if (known === asked) known = undefined
      }
    )
    return raceSignal(asked, signal)
  }

  return async (service, operation, input = {}, options = {}) => {
    const { items } = await places(options)
    const { body, signal, again, onProgress } = options
    const place = items.find(each => each.service === service && each.operation === operation)
    if (place == null)
      throw new ArtelError('UnknownOperationError', `the node has no operation ${service}.${operation}`)
    // under one key every try is the same, so that what was done and not answered is not done twice
    const keyed = Object.entries(place.headers).find(([, header]) => header === 'idempotency-key')?.[0]
    const left = { ...(keyed == null ? {} : { [keyed]: crypto.randomUUID() }), ...input }
    const take = (field: string): string => {
      const value = String(left[field])
      delete left[field]
      return value
    }
    const takeBody = (field: string): unknown => {
      const value = left[field]
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
      again: again !== false && (place.isRepeatable || keyed != null) && !(body instanceof ReadableStream),
      answerMs: place.deadlineMs,
      ...(place.hasProgress ? { onProgress: progress => onProgress?.(progress) } : {}),
      ...(signal == null ? {} : { signal }),
      ...(place.body === 'json' && place.bodyField == null
        ? { value: left }
        : {
            ...(place.bodyField == null ? {} : { value: takeBody(place.bodyField) }),
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

/** `files.list(…)` over any way of calling; what service and operation are called is only known to who answers. */
export function createClients<C extends object>(call: CallByName): C {
  const named = <T extends object>(of: (name: string) => unknown): T =>
    new Proxy({} as T, {
      // `then`: it is no promise
      get: (_, name) => (typeof name === 'string' && name !== 'then' ? of(name) : undefined)
    })
  return named(service =>
    named(
      operation => (input?: Record<string, unknown>, options?: CallOptions) =>
        call(service, operation, input, options)
    )
  )
}
