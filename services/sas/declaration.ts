import { z } from 'zod'
import { declare, FORBIDDEN, MACHINE, NOT_FOUND, operation, USAGE } from '../host/index.ts'
import { POLL_HEX } from './frames.ts'
import { MAX_ADDRESS, placeOf } from './line/name.ts'
import { BY_PARITY } from './line/parity.ts'
import { DOES } from './money/order.ts'

const said = z.object({
  poll: z.string().describe('command and data in hex'),
  is: z
    .enum(['acknowledged', 'refused', 'silent', 'answered', 'told'])
    .describe('told: all machines of the line hear it, and none answers'),
  frame: z.string().optional().describe('the answer in hex'),
  values: z
    .record(z.string(), z.union([z.number(), z.string()]))
    .optional()
    .describe('what it says, where a table knows')
})

/** For people. */
const textOf = ({ frame = '', values }: z.output<typeof said>): string =>
  values == null
    ? frame
    : Object.entries(values)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')

const machine = z.object({
  line: z.string(),
  address: z.number(),
  isUp: z.boolean().describe('it answers'),
  serial: z.string().optional().describe('that of its device sas:<serial>'),
  heardAt: z.number().optional().describe('ms since 1970 of its last answer'),
  exceptions: z.number().describe('since the service started')
})

export const declaration = declare({
  name: 'sas',
  version: 1,
  summary: 'poll gaming machines over SAS; what they say goes into the log of the service devices',
  needs: ['devices'],
  config: z.object({
    machines: z
      .array(
        z
          .string()
          .max(104)
          .refine(
            text => placeOf(text) != null,
            'is no place; write /dev/serial/by-id/… or tcp://host:port, with #2 for address 2'
          )
      )
      .max(64)
      .refine(
        places => new Set(places.map(text => JSON.stringify(placeOf(text)))).size === places.length,
        'names a place twice'
      )
      .default([])
      .describe(
        `where machines are: /dev/serial/by-id/… or tcp://host:port, with #2 for address 2, up to ${MAX_ADDRESS}; default: 1`
      ),
    baudRate: z.int().min(300).max(1_000_000).default(19_200).describe('of serial lines'),
    wakeUp: z
      .enum(['inBand', ...BY_PARITY])
      .default('inBand')
      .describe(
        'how serial lines set the wake-up bit: inBand for a converter that takes FF 00 XX; markSpace for a plain adapter; evenOdd for one whose driver has no mark and space'
      ),
    answerMs: z
      .int()
      .min(20)
      .max(10_000)
      .default(100)
      .describe('ms until an answer must begin: machines take 20, converters add to it'),
    pollMs: z
      .int()
      .min(1)
      .max(4_000)
      .default(200)
      .meta({ live: true })
      .describe('ms between two polls of a machine; after 5 s without one it becomes deaf'),
    meterSeconds: z
      .number()
      .min(1)
      .max(3600)
      .default(60)
      .meta({ live: true })
      .describe('seconds between two looks at the meters'),
    control: z
      .boolean()
      .default(false)
      .meta({ live: true })
      .describe(
        'allow to lock and enable machines and bill acceptors and to set clocks; what moves money needs sas.moneyFile'
      ),
    filesFolder: z
      .string()
      .max(4096)
      .optional()
      .describe(
        'folder of listeners.json, do_once.json, sets/NAME.json, handlers/NAME.ts and settings.json; default: the folder of the service'
      ),
    moneyFile: z
      .string()
      .max(4096)
      .optional()
      .describe(
        'file, for its owner only, that says how much may be ordered here; without it nothing moves money; see its README'
      )
  }),
  errors: {
    PollRefusedError: FORBIDDEN,
    UnknownMachineError: NOT_FOUND,
    FrameError: USAGE,
    LineError: MACHINE,
    ListFileError: USAGE,
    UnknownSetError: NOT_FOUND
  },
  operations: {
    machines: operation({
      summary: 'Machines that this node polls, and how they are',
      input: z.object({}),
      output: z.object({ items: z.array(machine) }),
      http: { method: 'GET', path: '/sas/machines' },
      scope: 'sas:read'
    }),
    send: operation({
      summary: 'Send one long poll to a machine, and tell its answer; both are in the log',
      description:
        'Reading is always allowed, control where sas.control is on. What moves money is commanded by devices.command with two signers, and what no table knows is never sent.',
      input: z.object({
        machine: z.string().max(104).describe('as in sas.machines'),
        poll: z
          .string()
          .regex(POLL_HEX)
          .describe('command and data in hex, without address and checksum: 1a reads the credits')
      }),
      output: z.object({
        is: z.enum(['acknowledged', 'refused', 'silent', 'answered']),
        frame: z.string().optional().describe('the answer in hex')
      }),
      http: { method: 'POST', path: '/sas/send' },
      scope: 'sas:admin',
      command: { arguments: ['machine', 'poll'], examples: ['sas send /dev/ttyUSB0 1a'] }
    }),
    listeners: operation({
      summary: 'Polls of listeners.json, and what each machine answered last',
      input: z.object({}),
      output: z.object({
        items: z.array(
          said.extend({
            target: z.string().describe('serial number, or the line whose machines are all told'),
            at: z.number().describe('ms since 1970')
          })
        )
      }),
      http: { method: 'GET', path: '/sas/listeners' },
      scope: 'sas:read'
    }),
    sets: operation({
      summary: 'Sets of polls in the files of this node',
      input: z.object({}),
      output: z.object({
        items: z.array(
          z.object({
            name: z.string(),
            polls: z.number().describe('how many'),
            isControl: z.boolean().describe('some of them change what machines do'),
            why: z.string().optional().describe('what is not right with its file')
          })
        )
      }),
      http: { method: 'GET', path: '/sas/sets' },
      scope: 'sas:read'
    }),
    run: operation({
      summary: 'Run a set of polls, in its order, at one machine or at all that answer',
      description: 'Polls that change a machine need sas.control; a set that moves money is no set.',
      input: z.object({
        set: z.string().max(64).describe('as in sas.sets: NAME of sets/NAME.json'),
        machine: z.string().max(104).optional().describe('as in sas.machines; default: all that answer')
      }),
      output: z.object({ items: z.array(z.object({ machine: z.string(), items: z.array(said) })) }),
      progress: z.object({
        machine: z.string(),
        item: said.describe('of the poll that is over'),
        done: z.number().describe('polls at all machines together'),
        total: z.number()
      }),
      http: { method: 'POST', path: '/sas/sets/:set' },
      scope: 'sas:admin',
      deadlineMs: 120_000,
      command: {
        arguments: ['set'],
        examples: ['sas run morning', 'sas run morning --machine /dev/ttyUSB0#2'],
        show: ({ items }) =>
          items
            .flatMap(each =>
              each.items.map(item => [each.machine, item.poll, item.is, textOf(item)].join('  '))
            )
            .join('\n'),
        exit: ({ items }) =>
          items.some(each => each.items.some(({ is }) => is === 'refused' || is === 'silent')) ? 1 : 0
      }
    }),
    payments: operation({
      summary: 'Orders that were tried at machines of this node, the newest first',
      input: z.object({}),
      output: z.object({
        items: z.array(
          z.object({
            id: z.string().describe('of the command, as devices.command has told it'),
            is: z
              .enum(['open', 'done', 'failed', 'unknown'])
              .describe('open: it was sent, and the machine is asked how it ends'),
            why: z.string().optional(),
            machine: z.string(),
            does: z.enum(DOES),
            amount: z.string(),
            at: z.number().describe('ms since 1970'),
            signers: z.array(z.string())
          })
        )
      }),
      http: { method: 'GET', path: '/sas/payments' },
      scope: 'sas:read'
    }),
    decide: operation({
      summary: 'Say how an order ended that no machine can tell; until then nothing is ordered there',
      input: z.object({
        id: z.string().min(8).max(64),
        is: z.enum(['done', 'failed']),
        why: z.string().min(1).max(300).describe('what was seen at the machine')
      }),
      output: z.object({}),
      http: { method: 'PUT', path: '/sas/payments/:id' },
      scope: 'sas:admin',
      command: { arguments: ['id', 'is', 'why'] }
    })
  }
})
