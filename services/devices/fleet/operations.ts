import { z } from 'zod'
import { base64, operation } from '../../host/index.ts'
import { agentState } from '../messages.ts'
import { missingGroups, wishes } from './document.ts'

const at = z.number().describe('ms since 1970')
const version = z.number().describe('0: there is none')

const signed = () => z.object({ issuer: z.string().min(1).max(128), bytes: base64, signature: base64 })

/** What can be done about the document of the fleet. */
export const fleetOperations = {
  fleet: operation({
    summary: 'What devices should be, by the document of the fleet, and how they are',
    input: () => z.object({}),
    output: () =>
      z.object({
        fleet: z.string(),
        version,
        isOwner: z.boolean().describe('this node may write it'),
        owners: z.array(z.string()),
        by: z.string().optional(),
        at: at.optional(),
        wishes: wishes.optional().describe('the document; without one nobody may command'),
        signed: signed()
          .optional()
          .describe('to take it to a node that nobody reaches, see devices take-fleet'),
        own: agentState().describe('how this node is'),
        agents: z
          .array(
            z.object({
              agent: z.string(),
              version: z.number().optional().describe('the one that it has'),
              isRight: z.boolean().describe('it has the newest, and everything is as wanted'),
              heardAt: at.optional(),
              error: z.string().optional().describe('why it said nothing when it was asked last'),
              state: agentState().optional()
            })
          )
          .describe('the nodes beside devices, as an owner knows them')
      }),
    http: { method: 'GET', path: '/devices/fleet' },
    scope: 'devices:read'
  }),
  setFleet: operation({
    summary: 'Write the next version of the document of the fleet; its owner signs it, and its nodes follow',
    input: () =>
      z.object({
        wishes: wishes
          .refine(each => missingGroups(each).length === 0, {
            path: ['groups'],
            error: ({ input }) =>
              `there is no group ${missingGroups(input as z.output<typeof wishes>).join(', ')}`
          })
          .describe('agents, groups, settings, grants, release, as JSON'),
        after: z.int().min(0).describe('the version that it is written on; 0: there is none yet')
      }),
    output: () => z.object({ version }),
    http: { method: 'PUT', path: '/devices/fleet', bodyBytes: 256 * 1024 },
    scope: 'devices:admin',
    deadlineMs: 60_000,
    command: {
      arguments: ['wishes'],
      examples: ['devices set-fleet "$(cat fleet.json)" --after 0']
    }
  }),
  addRelease: operation({
    summary: 'Keep a packed release for the nodes of the fleet; what it answers goes into the document',
    input: () =>
      z.object({
        path: z
          .string()
          .min(1)
          .max(4096)
          .meta({ isPath: true })
          .describe('a folder as npm has it, with what it needs, packed by tar and gzip')
      }),
    output: () => z.object({ sha256: z.string(), bytes: z.number() }),
    http: { method: 'POST', path: '/devices/releases' },
    // it reads whatever the node may read
    scope: 'devices:admin',
    isIdempotent: true,
    deadlineMs: 600_000,
    command: { arguments: ['path'], examples: ['devices add-release artel-1.2.0.tgz'] }
  }),
  takeFleet: operation({
    summary: 'Give this node a signed document of its fleet by hand',
    input: () => z.object({ signed: signed().describe('as `devices fleet --json` tells it') }),
    output: () => z.object({ version }),
    http: { method: 'POST', path: '/devices/fleet', bodyBytes: 512 * 1024 },
    scope: 'devices:admin',
    isIdempotent: true,
    command: { arguments: ['signed'] }
  })
}
