import { z } from 'zod'
import { declare, operation } from '../host/index.ts'
import { VERDICTS } from './errors.ts'
import { messages, port } from './peers/messages.ts'

// schemas are made when they are asked for: a node on which the service is off has none of them
const word = () => z.string().max(100)
const host = () => word().optional().describe('peer id of the host; default: this node')
const vm = () => word().describe('id of the machine')
/** A machine and where it is. */
const at = () => ({ vm: vm(), host: host() })
const nothing = () => z.object({})
const figure = z.int().min(0).max(1e12)
const limit = (usual: number, what: string) => figure.default(usual).describe(what)

const price = (each: string) =>
  figure.default(0).meta({ description: `micro-credits for each ${each}`, live: true })
const offer = () =>
  z.object({
    freeMb: z.number().min(0),
    accelerator: z.string().max(20),
    ramGbHour: z.number().min(0),
    diskGbHour: z.number().min(0)
  })
const statement = () =>
  z.object({
    paid: z.number(),
    used: z.number(),
    left: z.number(),
    stage: z.string().describe('what an empty account has come to: notice, pause, stop, trash'),
    emptySince: z.number().optional()
  })

const machine = () =>
  z.object({
    id: z.string(),
    owner: z.string(),
    ramMb: z.number(),
    cpu: z.number(),
    authenticated: z.boolean(),
    state: z.string(),
    pending: z.object({ ramMb: z.number(), cpu: z.number() }).optional()
  })
const forwarded = () => z.object({ local: z.number(), vm: z.string(), port: z.number(), host: z.string() })
const disk = () => z.object({ id: z.string(), vm: z.string(), sizeGb: z.number() })
const snapshot = () =>
  z.object({
    name: z.string(),
    at: z.number(),
    isScheduled: z.boolean(),
    memory: z.object({ ramMb: z.number() }).optional()
  })
const text = () => z.string().max(65_536)
/** With `host` asked of another one by a signed command; whose machine it is decides what is allowed. */
const open = { scope: 'vm:write' } as const
const look = { scope: 'vm:read' } as const
/** Files of this machine are read or written. */
const own = { scope: 'vm:admin' } as const
const LONG_MS = 120_000
const MOVE_MS = 24 * 3_600_000

export const declaration = declare({
  name: 'vm',
  version: 1,
  summary: 'virtual machines',
  config: z.object({
    machines: limit(100, 'machines of one owner'),
    ramMb: limit(65_536, 'MB of RAM of one owner’s machines'),
    cpu: limit(64, 'CPUs of one owner’s machines'),
    diskGb: limit(1_024, 'GB of one owner’s disks'),
    ramGbHour: price('GB of RAM and hour that a machine of others is on'),
    diskGbHour: price('GB of disk and hour that is kept for others'),
    allowTcg: z
      .boolean()
      .default(false)
      .describe('run machines of others also without KVM, where QEMU promises no isolation')
  }),
  needs: ['ledger'],
  errors: VERDICTS,
  messages,
  operations: {
    exec: operation({
      summary: 'One line of the prompt: AUTH, ADD_VM, LIST_VMS, … HELP',
      input: () =>
        z.object({
          line: z.string().max(65_536),
          language: z.enum(['en', 'ru']).default('en'),
          host: host()
        }),
      output: () => z.object({ text: z.string(), exit: z.number() }),
      http: { method: 'POST', path: '/vms/exec' },
      ...open,
      deadlineMs: LONG_MS,
      command: {
        arguments: ['line'],
        examples: ['vm exec "AUTH vm1 2048 2"', 'vm exec LIST_VMS'],
        show: ({ text }: { text: string }) => text,
        exit: ({ exit }: { exit: number }) => exit,
        shell: async () => (await import('./shell/run-shell.ts')).runShell
      }
    }),
    hosts: operation({
      summary:
        'Hosts of machines, found over the network: the best first, and those that cannot take it last',
      input: () =>
        z.object({
          ramMb: z.coerce
            .number()
            .min(16)
            .default(256)
            .describe('MB of RAM of the machine that is to run there'),
          diskGb: z.coerce.number().min(0).max(65_536).default(0).describe('GB of its disks'),
          mostAnHour: z.coerce.number().min(0).default(1e15).describe('micro-credits for an hour, at most')
        }),
      output: () =>
        z.object({
          hosts: z.array(
            offer()
              .partial()
              .extend({
                peer: z.string(),
                isHere: z.boolean().optional(),
                anHour: z.number().optional().describe('micro-credits for an hour of such a machine'),
                fits: z.boolean()
              })
          )
        }),
      http: { method: 'GET', path: '/vms/hosts' },
      scope: 'vm:read'
    }),
    offer: operation({
      summary: 'What this host has free',
      input: nothing,
      output: offer,
      http: { method: 'GET', path: '/vms/offer' },
      ...look,
      peers: 'allowed',
      command: false
    }),
    account: operation({
      summary: 'What was paid to a host and what of it is left, in micro-credits',
      input: () => z.object({ host: host() }),
      output: statement,
      http: { method: 'GET', path: '/vms/account' },
      ...look
    }),
    pay: operation({
      summary: 'Pay a host beforehand for machines on it',
      input: () =>
        z.object({
          to: z.string().max(100).describe('peer id of the host'),
          credits: z.coerce.number().min(0.000001).max(1e9)
        }),
      output: nothing,
      http: { method: 'POST', path: '/vms/pay' },
      scope: 'vm:admin',
      deadlineMs: LONG_MS,
      command: {
        arguments: ['to', 'credits'],
        confirm: ({ to, credits }: { to: string; credits: number }) => `Pay ${credits} credits to ${to}?`
      }
    }),
    list: operation({
      summary: 'The machines, and how they are',
      input: () =>
        z.object({
          host: host(),
          everywhere: z
            .boolean()
            .default(false)
            .describe('of this node and of every host that has shown machines before')
        }),
      output: () =>
        z.object({
          machines: z.array(
            machine().extend({ host: z.string().optional().describe('where it is: everywhere') })
          )
        }),
      http: { method: 'GET', path: '/vms' },
      ...look
    }),
    show: operation({
      summary: 'One machine with its disks',
      input: () => z.object(at()),
      output: machine().extend({
        disks: z.array(disk()),
        pid: z.number().optional().describe('process of QEMU'),
        cpuMs: z.number().optional().describe('CPU time since it started'),
        memoryBytes: z.number().optional().describe('resident memory, QEMU and guest together')
      }),
      http: { method: 'GET', path: '/vms/:vm' },
      ...look,
      command: { arguments: ['vm'] }
    }),
    power: operation({
      summary: 'Start, stop, reboot, pause or resume a machine',
      input: () =>
        z.object({
          ...at(),
          action: z.enum(['start', 'stop', 'reboot', 'pause', 'resume']),
          force: z.boolean().default(false).describe('stop it without asking the guest')
        }),
      output: machine,
      http: { method: 'POST', path: '/vms/:vm/power' },
      ...open,
      deadlineMs: LONG_MS,
      command: { arguments: ['action', 'vm'], examples: ['vm power start vm1', 'vm power stop vm1 --force'] }
    }),
    console: operation({
      summary: 'What the serial port said, after typing something where wanted',
      input: () =>
        z.object({
          ...at(),
          after: z.int().min(0).default(0).describe('bytes that were seen already'),
          input: z.string().max(4_096).optional().describe('typed into it'),
          session: z.string().max(64).default('').describe('which of your windows types'),
          takeOver: z.boolean().default(false).describe('type though somebody else does'),
          waitMs: z.int().min(0).max(20_000).default(0).describe('how long to wait for something new')
        }),
      output: () => z.object({ at: z.number(), text: text(), writer: z.enum(['you', 'other', 'none']) }),
      http: { method: 'POST', path: '/vms/:vm/console' },
      ...open,
      command: {
        arguments: ['vm'],
        show: ({ text }: { text: string }) => text,
        onTerminal: ({ input }: { input?: string }) =>
          input === undefined ? import('./shell/run-console.ts').then(shell => shell.runConsole) : undefined
      }
    }),
    snapshots: operation({
      summary: 'Snapshots of a machine',
      input: () => z.object(at()),
      output: () => z.object({ snapshots: z.array(snapshot()) }),
      http: { method: 'GET', path: '/vms/:vm/snapshots' },
      ...look,
      command: { arguments: ['vm'] }
    }),
    snapshot: operation({
      summary: 'Keep the disks of a machine as they are now, also while it runs',
      input: () =>
        z.object({
          ...at(),
          name: word(),
          memory: z
            .boolean()
            .default(false)
            .describe('also its memory, so that the guest goes on where it was; it stands still meanwhile')
        }),
      output: snapshot,
      http: { method: 'POST', path: '/vms/:vm/snapshots' },
      ...open,
      deadlineMs: 600_000,
      command: { arguments: ['vm', 'name'] }
    }),
    schedule: operation({
      summary: 'Snapshots by the clock; only these are let go of again',
      input: () =>
        z.object({
          ...at(),
          pattern: z
            .string()
            .max(200)
            .describe('minute, hour, day, month, weekday as cron has them, in UTC; or off'),
          keep: z.coerce.number().default(7).describe('how many are kept')
        }),
      output: () =>
        z.object({
          schedule: z.object({ pattern: z.string(), keep: z.number(), since: z.number() }).optional()
        }),
      http: { method: 'PUT', path: '/vms/:vm/schedule' },
      ...open,
      command: { arguments: ['vm', 'pattern'], examples: ['vm schedule vm1 "0 3 * * *" --keep 7'] }
    }),
    grow: operation({
      summary: 'Make a disk larger, also while its machine runs',
      input: () => z.object({ disk: word(), sizeGb: z.coerce.number(), host: host() }),
      output: disk,
      http: { method: 'POST', path: '/vms/disks/:disk/grow' },
      ...open,
      command: { arguments: ['disk', 'sizeGb'] }
    }),
    rollback: operation({
      summary: 'Bring the disks of a snapshot back; a machine that runs is ended and started again',
      input: () => z.object({ ...at(), name: word() }),
      output: nothing,
      http: { method: 'POST', path: '/vms/:vm/snapshots/:name/rollback' },
      ...open,
      deadlineMs: LONG_MS,
      command: {
        arguments: ['vm', 'name'],
        confirm: ({ vm, name }: { vm: string; name: string }) =>
          `Bring ${vm} back to ${name}? What was written since is lost.`
      }
    }),
    forget: operation({
      summary: 'Remove a snapshot',
      input: () => z.object({ ...at(), name: word() }),
      output: nothing,
      http: { method: 'DELETE', path: '/vms/:vm/snapshots/:name' },
      ...open,
      command: { arguments: ['vm', 'name'] }
    }),
    clone: operation({
      summary: 'A new machine with the disks of another as they are now, or were in a snapshot',
      input: () => z.object({ ...at(), newVm: word(), snapshot: word().optional() }),
      output: nothing,
      http: { method: 'POST', path: '/vms/:vm/clones' },
      ...open,
      command: { arguments: ['vm', 'newVm'] }
    }),
    move: operation({
      summary: 'Give a machine to another host, where it goes on; only what it lacks is sent',
      input: () => z.object({ ...at(), to: z.string().max(100).describe('peer id of the other host') }),
      output: () =>
        z.object({
          state: z
            .enum(['moved', 'released'])
            .describe('released: the other host fell silent and is asked again')
        }),
      http: { method: 'POST', path: '/vms/:vm/move' },
      ...open,
      deadlineMs: MOVE_MS,
      command: { arguments: ['vm', 'to'], examples: ['vm move vm1 12D3KooW…'] }
    }),
    network: operation({
      summary: 'Give a machine that is off a network card, or take it away; only forwarded ports lead to it',
      input: () => z.object({ ...at(), state: z.enum(['on', 'off']) }),
      output: nothing,
      http: { method: 'PUT', path: '/vms/:vm/network' },
      ...open,
      command: { arguments: ['vm', 'state'], examples: ['vm network vm1 on'] }
    }),
    forward: operation({
      summary:
        'A port of a guest as a port of this computer, on loopback, until it is closed or the node ends',
      input: () =>
        z.object({
          ...at(),
          port: port().describe('port of the guest, which has the address 10.0.2.15'),
          local: z.coerce.number().int().min(0).max(65_535).default(0).describe('port here; 0: any')
        }),
      output: forwarded,
      http: { method: 'POST', path: '/vms/:vm/forwards' },
      scope: 'vm:write',
      command: { arguments: ['vm', 'port'], examples: ['vm forward vm1 22 --local 2222'] }
    }),
    forwards: operation({
      summary: 'Ports of this computer that lead to guests',
      input: nothing,
      output: () => z.object({ forwards: z.array(forwarded()) }),
      http: { method: 'GET', path: '/vms/forwards' },
      ...look
    }),
    unforward: operation({
      summary: 'Close a port of this computer that leads to a guest',
      input: () => z.object({ local: port() }),
      output: nothing,
      http: { method: 'DELETE', path: '/vms/forwards/:local' },
      scope: 'vm:write',
      command: { arguments: ['local'] }
    }),
    restore: operation({
      summary: 'Take a removed machine out of the trash',
      input: () => z.object(at()),
      output: nothing,
      http: { method: 'POST', path: '/vms/:vm/restore' },
      ...open,
      command: { arguments: ['vm'] }
    }),
    grants: operation({
      summary: 'Who else may operate or view a machine',
      input: () => z.object(at()),
      output: () => z.object({ grants: z.array(z.object({ peer: z.string(), role: z.string() })) }),
      http: { method: 'GET', path: '/vms/:vm/grants' },
      ...look,
      command: { arguments: ['vm'] }
    }),
    grant: operation({
      summary: 'Let another peer operate or view a machine, or no longer',
      input: () => z.object({ ...at(), peer: word(), role: z.enum(['operator', 'viewer', 'none']) }),
      output: nothing,
      http: { method: 'POST', path: '/vms/:vm/grants' },
      ...open,
      command: { arguments: ['vm', 'peer', 'role'] }
    }),
    events: operation({
      summary: 'What happened to a machine',
      input: () => z.object({ ...at(), after: z.coerce.number().min(0).default(0) }),
      output: () =>
        z.object({
          events: z.array(z.object({ seq: z.number(), at: z.number(), kind: z.string(), detail: z.string() }))
        }),
      http: { method: 'GET', path: '/vms/:vm/events' },
      ...look,
      command: { arguments: ['vm'] }
    }),
    boot: operation({
      summary: 'Let a machine start by a kernel and an initial RAM disk of this computer',
      input: () =>
        z.object({
          vm: vm(),
          kernel: text(),
          initrd: text().optional(),
          append: z.string().max(2_000).default('console=ttyS0')
        }),
      output: nothing,
      http: { method: 'PUT', path: '/vms/:vm/boot' },
      ...own,
      command: { arguments: ['vm', 'kernel', 'initrd'] }
    }),
    importDisk: operation({
      summary: 'A disk out of a qcow2 file of this computer, with texts for cloud-init where it knows them',
      input: () =>
        z.object({
          vm: vm(),
          disk: word(),
          file: text(),
          userData: text().optional(),
          metaData: text().default('')
        }),
      output: () => z.object({ sizeGb: z.number() }),
      http: { method: 'POST', path: '/vms/:vm/disks/import' },
      ...own,
      deadlineMs: 600_000,
      command: { arguments: ['vm', 'disk', 'file'] }
    }),
    recover: operation({
      summary: 'Build a lost database again, from what stands in the folders of the machines',
      input: nothing,
      output: () =>
        z.object({
          machines: z.array(
            z.object({ id: z.string(), owner: z.string(), disks: z.number(), isActive: z.boolean() })
          ),
          left: z.array(z.object({ folder: z.string(), why: z.string() }))
        }),
      http: { method: 'POST', path: '/vms/recover' },
      ...own,
      deadlineMs: LONG_MS
    }),
    rebuild: operation({
      summary: 'Begin a disk anew with a qcow2 file of this computer; its snapshots stay',
      input: () => z.object({ disk: word(), file: text() }),
      output: () => z.object({ sizeGb: z.number() }),
      http: { method: 'POST', path: '/vms/disks/:disk/rebuild' },
      ...own,
      deadlineMs: 600_000,
      command: {
        arguments: ['disk', 'file'],
        confirm: ({ disk }: { disk: string }) => `Begin ${disk} anew? What is in no snapshot is lost.`
      }
    }),
    exportDisk: operation({
      summary: 'Write a disk as one qcow2 file on this computer',
      input: () => z.object({ disk: word(), file: text() }),
      output: nothing,
      http: { method: 'POST', path: '/vms/disks/:disk/export' },
      ...own,
      deadlineMs: 600_000,
      command: { arguments: ['disk', 'file'] }
    })
  }
})
