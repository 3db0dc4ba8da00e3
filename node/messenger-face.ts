import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import { type FaceInit, LISTENER_TLS, type messenger, type ServiceSettings } from '../services/index.ts'
import { ConfigError } from './errors.ts'
import type { Config } from './settings.ts'

/** As its declaration has it; in `Config` sections of services have no types. */
type Section = ServiceSettings & z.output<typeof messenger.config>

/**
 * The messenger's own listener, where it is on and was asked for, with the certificate that was set, or that it made itself.
 *
 * @throws {ConfigError} a file of its certificate is missing
 */
export function faceOf(config: Config): FaceInit | undefined {
  const { messenger: section } = config as unknown as { messenger: Section }
  const { enabled, listen, host, port, certificate, certificateKey } = section
  if (!enabled || !listen) return undefined
  const made = join(config.data, 'services', 'messenger', LISTENER_TLS.folder)
  const isSet = certificate != null || certificateKey != null
  const files = isSet
    ? { certificate, certificateKey }
    : { certificate: join(made, LISTENER_TLS.certificate), certificateKey: join(made, LISTENER_TLS.key) }
  const isPlain = !isSet && !existsSync(files.certificate!)
  return {
    host,
    port,
    ...(isPlain
      ? {}
      : {
          tls: {
            cert: read('certificate', files.certificate),
            key: read('certificateKey', files.certificateKey)
          }
        }),
    service: 'messenger',
    // for its card Program
    groups: ['release'],
    page: 'messenger.html',
    title: 'Local Messenger'
  }
}

function read(name: keyof Section, file: string | undefined): Buffer {
  if (file == null)
    throw new ConfigError(
      `messenger.${name}: a certificate and its key belong together; name the other file, too`
    )
  try {
    return readFileSync(file)
  } catch (error) {
    throw new ConfigError(`messenger.${name}: cannot read ${file}: ${(error as Error).message}`)
  }
}
