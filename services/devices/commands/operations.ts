import { z } from 'zod'
import { EXIT, operation } from '../../host/index.ts'
import { OUTCOMES } from './command.ts'

const peer = z.string().min(1).max(128)
const id = z.string().min(8).max(64)
/** the longest command of a driver, and its way */
const COMMAND_MS = 11 * 60_000

const outcome = () =>
  z.object({
    is: z.enum([...OUTCOMES, 'proposed']).describe('unknown: it was begun, and nobody can say'),
    why: z.string().optional(),
    result: z.unknown().optional().describe('what the device answered'),
    via: z
      .string()
      .optional()
      .describe(
        'the node that brought it, as yours could not, and says so; the log of the device is the proof'
      )
  })
const exit = ({ is }: { is: string }): number => (is === 'done' || is === 'proposed' ? 0 : EXIT.internal)

/** What can be done about commands to devices. */
export const commandOperations = {
  command: operation({
    summary: 'Command a device of the fleet; decided by the node beside it, done once, in its log',
    input: () =>
      z.object({
        device: z.string().min(1).max(128),
        name: z.string().min(1).max(64).describe('what it can do stands with the device, see devices list'),
        args: z.record(z.string().max(64), z.unknown()).default({}).describe('as JSON'),
        agent: peer.optional().describe('the node beside it; default: the one that is known to have it'),
        second: peer
          .optional()
          .describe('the node that is to sign too, where money moves or programs change'),
        minutes: z.int().min(1).max(1440).default(1).describe('it is not done later than that')
      }),
    output: () => outcome().extend({ id: z.string() }),
    http: { method: 'POST', path: '/devices/commands' },
    scope: 'devices:write',
    deadlineMs: COMMAND_MS,
    command: {
      arguments: ['device', 'name'],
      examples: [
        `devices command host:12D3Koo… measure`,
        `devices command sas:7 lock --args '{"minutes":5}'`
      ],
      exit
    }
  }),
  proposals: operation({
    summary: 'Commands that wait for a second signer: those of this node, and those that it is asked to sign',
    input: () => z.object({}),
    output: () =>
      z.object({
        items: z.array(
          z.object({
            id: z.string(),
            isOwn: z.boolean().describe('this node has proposed it'),
            peer: z.string().describe('the other node'),
            by: z.string(),
            agent: z.string(),
            device: z.string(),
            name: z.string(),
            args: z.record(z.string(), z.unknown()),
            expires: z.number().describe('ms since 1970')
          })
        )
      }),
    http: { method: 'GET', path: '/devices/proposals' },
    scope: 'devices:read'
  }),
  approve: operation({
    summary: 'Sign a command that another node has proposed, and have it done',
    input: () => z.object({ id }),
    output: outcome,
    http: { method: 'POST', path: '/devices/proposals/:id/approve' },
    scope: 'devices:admin',
    deadlineMs: COMMAND_MS,
    command: { arguments: ['id'], exit }
  }),
  dismiss: operation({
    summary: 'Do not sign a proposed command, or take it back',
    input: () => z.object({ id }),
    output: () => z.object({}),
    http: { method: 'DELETE', path: '/devices/proposals/:id' },
    scope: 'devices:write',
    command: { arguments: ['id'] }
  })
}
