import { z } from 'zod'
import { group, operation } from '../host/index.ts'
import { serviceHealth } from './network.ts'

export const setting = z.object({
  setting: z.string().describe('keys from the root, joined by dots'),
  value: z.unknown().optional().describe('absent where this machine decides'),
  default: z.unknown().optional(),
  description: z.string(),
  live: z.boolean().describe('a change counts at once; of the others after the next start')
})
export type Setting = z.output<typeof setting>
const config = z.object({ items: z.array(setting) })

export const settings = group({
  name: 'settings',
  summary: 'the settings of this node, and how it is',
  operations: {
    config: operation({
      summary: 'Every setting with its value',
      input: z.object({}),
      output: config,
      http: { method: 'GET', path: '/config' },
      scope: 'read',
      command: false
    }),
    configure: operation({
      summary: 'Change settings: all of them or none; releaseSigners only at this machine',
      input: z.object({ patch: z.record(z.string().max(100), z.unknown()).describe('setting → value') }),
      output: config,
      http: { method: 'PATCH', path: '/config', bodyField: 'patch' },
      scope: 'admin',
      command: false
    }),
    health: operation({
      summary: 'Whether it answers, and how its services are',
      input: z.object({}),
      output: z.object({ status: z.literal('ok').describe('it answers'), services: z.array(serviceHealth) }),
      http: { method: 'GET', path: '/health', isAtRoot: true },
      command: false
    }),
    ready: operation({
      summary: 'Whether it can do a job now, or why not',
      input: z.object({}),
      output: z.object({ ready: z.boolean(), reasons: z.array(z.string()) }),
      http: {
        method: 'GET',
        path: '/ready',
        isAtRoot: true,
        statuses: [503],
        answer: ({ ready }: { ready: boolean }) => ({ status: ready ? 200 : 503 })
      },
      command: false
    }),
    metrics: operation({
      summary: 'Figures for Prometheus',
      input: z.object({}),
      output: z.string(),
      http: {
        method: 'GET',
        path: '/metrics',
        isAtRoot: true,
        textType: 'text/plain; version=0.0.4; charset=utf-8'
      },
      scope: 'read',
      command: false
    })
  }
})
