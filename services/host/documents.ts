import { hash } from 'node:crypto'
import { z } from 'zod'
import type { Host } from './contract.ts'
import { DocumentError } from './errors.ts'

/** Signs as this node, for a purpose. */
export type Sign = Host['sign']
/** Whether a node has signed so. */
export type IsSigned = Host['isSigned']

/** What somebody has signed, as nodes give it to each other. */
export interface Signed {
  issuer: string
  bytes: Uint8Array
  signature: Uint8Array
}
/** A signed document that was read. */
export interface Issued<T> extends Signed {
  document: T
  /** SHA-256 of its bytes, in hex */
  hash: string
}
/** A version that is known: that of a document here, or one that is remembered without it. */
export interface Known {
  version: number
  hash: string
}

/**
 * What an offered document is to the one that is known: versions only go up, and of one number there is one. Pure.
 */
export function judge(known: Known | undefined, offered: Known): 'newer' | 'same' | 'older' | 'fork' {
  if (known == null || offered.version > known.version) return 'newer'
  if (offered.version < known.version) return 'older'
  return offered.hash === known.hash ? 'same' : 'fork'
}

export const knownOf = ({ document, hash }: Issued<{ version: number }>): Known => ({
  version: document.version,
  hash
})

/**
 * Documents of one kind that nodes sign and give to each other, as JSON. Each has a `version`, which counts up with each
 * change: see `judge`. Those who keep them say which there are, and whose count.
 */
export function documentKind<S extends z.ZodType<{ version: number }>>({
  name,
  domain,
  schema,
  maxBytes
}: {
  /** in messages: document of the fleet */
  name: string
  /** of its signatures, below the service's own */
  domain: string
  schema: S
  maxBytes: number
}) {
  type Document = z.output<S>

  /** Reads what somebody has signed, without a look at who. @throws {DocumentError} */
  function read({ issuer, bytes, signature }: Signed): Issued<Document> {
    let json: unknown
    try {
      json = JSON.parse(Buffer.from(bytes).toString())
    } catch (error) {
      throw new DocumentError(`a ${name} that is no JSON: ${(error as Error).message.slice(0, 100)}`)
    }
    const read = schema.safeParse(json)
    if (!read.success)
      throw new DocumentError(
        `no ${name}: ${z.prettifyError(read.error).replaceAll('\n', ' ').slice(0, 300)}`
      )
    return { issuer, bytes, signature, document: read.data, hash: hash('sha256', bytes, 'hex') }
  }

  return {
    read,

    /** The same of what its issuer has signed. @throws {DocumentError} */
    verify(signed: Signed, isSigned: IsSigned): Issued<Document> {
      const { issuer, bytes, signature } = signed
      if (!isSigned(issuer, domain, bytes, signature))
        throw new DocumentError(`${issuer} has not signed this ${name}`)
      return read(signed)
    },

    /** Signs what `self` says. @throws {DocumentError} it is too long */
    issue(content: z.input<S>, self: string, sign: Sign): Issued<Document> {
      const document = schema.parse(content)
      const bytes = Buffer.from(JSON.stringify(document))
      if (bytes.length > maxBytes)
        throw new DocumentError(`this ${name} has ${bytes.length} bytes; at most ${maxBytes}`)
      return {
        ...{ issuer: self, bytes, signature: sign(domain, bytes), document },
        hash: hash('sha256', bytes, 'hex')
      }
    }
  }
}
