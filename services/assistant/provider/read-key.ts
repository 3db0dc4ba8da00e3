import type { Secrets } from '../../host/index.ts'
import { UnknownNameError } from '../errors.ts'

/** A provider's key, or a bot's. @throws {UnknownNameError} */
export async function readKey(secrets: Pick<Secrets, 'read'>, name: string): Promise<string> {
  const key = await secrets.read(name)
  if (key == null)
    throw new UnknownNameError(`there is no secret "${name}"; artel assistant secret ${name} KEY`)
  return key.trim()
}
