import { z } from 'zod'
import { CONFLICT, declare, EXIT, FORBIDDEN, FULL, NETWORK, NOT_FOUND, USAGE } from '../host/index.ts'
import { administration } from './admin/declared.ts'
import { carrying } from './carried/declared.ts'
import { chatting } from './device/declared.ts'
import { messages } from './messages.ts'
import { later } from './people/later-declared.ts'
import { moderation } from './people/moderation-declared.ts'
import { schooling } from './school/declared.ts'

export const declaration = declare({
  name: 'messenger',
  version: 1,
  summary: 'a school’s or firm’s chat without a central server, end-to-end encrypted',
  config: z.object({
    mailMb: z
      .int()
      .min(1)
      .max(1e6)
      .default(1024)
      .meta({ live: true })
      .describe('MB of this disk for the mail of others, where the school names this node as a mailbox'),
    copies: z
      .int()
      .min(0)
      .max(5)
      .default(2)
      .meta({ live: true })
      .describe('nodes of the school that should keep a sealed copy of each backup of this one'),
    copiesMb: z
      .int()
      .min(0)
      .max(1e6)
      .default(0)
      .meta({ live: true })
      .describe('MB of this disk for such copies of others; 0: none'),
    home: z
      .boolean()
      .default(false)
      .meta({ live: true })
      .describe(
        'let the people of this node sign in at other nodes of the school, which carry their session'
      ),
    hosted: z
      .int()
      .min(0)
      .max(2_000)
      .default(0)
      .meta({ live: true })
      .describe('people without a computer whose home this node may be, where it is a mailbox; 0: none'),
    listen: z
      .boolean()
      .default(false)
      .describe('serve the messenger alone at an address of its own, beside the dashboard'),
    host: z
      .string()
      .min(1)
      .default('127.0.0.1')
      .describe('that address; loopback only, unless told, where it answers in any case'),
    port: z.int().min(0).max(65_535).default(8000).describe('its port; 0: a free one'),
    certificate: z
      .string()
      .min(1)
      .optional()
      .describe(
        'PEM file of a certificate for that address: without it nobody signs in from another machine'
      ),
    certificateKey: z.string().min(1).optional().describe('PEM file of the key of that certificate')
  }),
  wants: ['people', 'entries'],
  messages,
  errors: {
    ForbiddenError: FORBIDDEN,
    MalformedMessageError: USAGE,
    PolicyError: FORBIDDEN,
    BrokenChainError: CONFLICT,
    SchoolError: CONFLICT,
    UnknownChatError: NOT_FOUND,
    NoMajorityError: NETWORK,
    MailboxFullError: FULL,
    FilePathError: USAGE,
    BackupError: CONFLICT,
    LockedError: { exit: EXIT.usage, status: 423 },
    TooManyMessagesError: { exit: EXIT.network, status: 429 }
  },
  operations: {
    ...administration,
    ...carrying,
    ...schooling,
    ...chatting,
    ...moderation,
    ...later
  }
})
