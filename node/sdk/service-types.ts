import type { Input, Operation, Output, Progress, SERVICES } from '../../services/index.ts'

/** How an operation of a service is called: what it takes and gives says its declaration. */
export interface CallOptions<E = unknown> {
  signal?: AbortSignal
  /** of an operation whose body is bytes */
  body?: BodyInit
  onProgress?(progress: E): void
}

type Modules = (typeof SERVICES)[number]
type Method<O> = O extends Operation
  ? (input: Input<O>, options?: CallOptions<Progress<O>>) => Promise<Output<O>>
  : never

/** The services of the node: `artel.services.files.list({})`. */
export type ServiceClients = {
  [M in Modules as M extends { name: infer N extends string } ? N : never]: M extends { operations: infer O }
    ? { [K in keyof O]: Method<O[K]> }
    : never
}
