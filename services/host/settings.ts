import { z } from 'zod'

const peers = z.array(z.string().min(1).max(128)).max(10_000).default([])

/** What every service can be told; its own settings come beside. */
export interface ServiceSettings {
  enabled: boolean
  allowedPeers: string[]
  deniedPeers: string[]
}

/** The section of a service in the configuration. */
export function settingsOf({
  name,
  summary,
  config,
  isOnByDefault = false
}: {
  name: string
  summary: string
  config?: z.ZodObject
  isOnByDefault?: boolean
}) {
  return z
    .strictObject({
      enabled: z
        .boolean()
        .default(isOnByDefault)
        .describe(`run the service ${name}: ${summary}`)
        .meta({ live: true }),
      allowedPeers: peers
        .describe(`peer ids that may use ${name} where it is not open to everybody; * for all`)
        .meta({ live: true }),
      deniedPeers: peers.describe(`peer ids that may not use ${name}`).meta({ live: true }),
      ...config?.shape
    })
    .prefault({})
}
