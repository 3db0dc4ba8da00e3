import type { Body } from '../log/entry.ts'

/** Bytes as hex, whole numbers beyond 2^53 as text. */
export const toJson = (body: Body): string =>
  JSON.stringify(body, (_, value: unknown) =>
    value instanceof Uint8Array
      ? Buffer.from(value).toString('hex')
      : typeof value === 'bigint'
        ? value.toString()
        : value
  )
