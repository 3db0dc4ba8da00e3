import { z } from 'zod'
import { declare, operation } from '../host/index.ts'

/** What the document of a fleet can set, too. */
export const everySeconds = z.number().min(0.1).max(3600)

export const declaration = declare({
  name: 'host-metrics',
  version: 1,
  summary: "this computer's processor, memory, disk, network and temperature as a device",
  needs: ['devices'],
  config: z.object({
    everySeconds: everySeconds.default(10).describe('seconds between two samples')
  }),
  operations: {
    now: operation({
      summary: 'What is measured of this computer now',
      input: z.object({}),
      output: z.object({ readings: z.record(z.string(), z.number()) }),
      http: { method: 'GET', path: '/host-metrics' },
      scope: 'host-metrics:read'
    })
  }
})
