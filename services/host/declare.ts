import type { Declaration, HostOf, ServiceModule, ServiceOf } from './contract.ts'
import { DeclarationError } from './errors.ts'
import type { Group } from './operation.ts'

const NAME = /^[a-z][a-z0-9-]{0,31}$/
/** Command, method of the SDK and message have the name of the operation. */
const OPERATION = /^[a-z][A-Za-z0-9]{0,40}$/

/** A declaration apart from its code, where the code needs its types: `HostOf<typeof declaration>`. */
export function declare<const D extends Declaration>(declaration: D): D {
  return declaration
}

/** A declaration with how to load its code; this is what stands in services/index.ts. */
export function service<const D extends Declaration>(
  declaration: D,
  load: () => Promise<(host: HostOf<D>) => ServiceOf<D> | Promise<ServiceOf<D>>>
): D & ServiceModule {
  return { ...declaration, load: load as ServiceModule['load'] }
}

/** Operations of the node itself, declared apart from their code. */
export function group<const G extends Group>(declaration: G): G {
  return declaration
}

/** What can be off; a resident cannot. */
export const isService = (group: Group): group is Declaration =>
  'version' in group && (group as Declaration).isResident !== true

/** @throws {DeclarationError} */
export function checkDeclaration({ name, version, operations, messages = {} }: Declaration): void {
  if (!Number.isInteger(version) || version < 1)
    throw new DeclarationError(`${name}: the version ${version} is no whole number from 1`)
  const both = Object.keys(operations).find(key => Object.hasOwn(messages, key))
  if (both != null) throw new DeclarationError(`${name}: "${both}" is an operation and a message`)
}

/** @throws {DeclarationError} */
export function checkNames({ name, operations }: Group): void {
  if (!NAME.test(name)) throw new DeclarationError(`"${name}" is no name of a service; write it like "files"`)
  for (const key of Object.keys(operations))
    if (!OPERATION.test(key))
      throw new DeclarationError(`${name}: "${key}" is no name of an operation; write it like "addFile"`)
}

/**
 * Looks for what would only be noticed when somebody calls.
 *
 * @throws {DeclarationError}
 */
export function checkFields({ name, operations }: Group): void {
  for (const [key, { input, http }] of Object.entries(operations)) {
    const fields = Object.keys(input.shape)
    const named = [...http.path.matchAll(/:(\w+)/g)].map(([, field]) => field!)
    const elsewhere = [
      ...Object.keys(http.headers ?? {}),
      ...(http.bodyField == null ? [] : [http.bodyField])
    ]
    const missing = [...named, ...elsewhere].find(field => !fields.includes(field))
    if (missing != null)
      throw new DeclarationError(
        `${name}.${key}: the path ${http.path} names "${missing}", the input does not`
      )
  }
}
