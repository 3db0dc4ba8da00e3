import { hash } from 'node:crypto'
import { z } from 'zod'

const SHARES = 10_000

/** The program that agents of a fleet should run, as its document says. */
export const wantedRelease = z.object({
  version: z.string().min(1).max(64),
  sha256: z
    .string()
    .regex(/^[\da-f]{64}$/)
    .describe('of the packed folder, as devices add-release tells it'),
  bytes: z
    .int()
    .min(1)
    .max(2 ** 31),
  percent: z
    .number()
    .min(0)
    .max(100)
    .default(100)
    .describe('of the agents that try it; the same ones each time'),
  agents: z.array(z.string().min(40).max(100)).max(1000).default([]).describe('that try it in any case'),
  healthSeconds: z.int().min(1).max(86_400).default(300).describe('that it has to work until it is kept'),
  startSeconds: z.int().min(1).max(3600).default(120).describe('that it may take for that besides')
})
export type WantedRelease = z.output<typeof wantedRelease>

/** Whether an agent is among those that try it. Pure. */
export const isMeant = ({ sha256, percent, agents }: WantedRelease, agent: string): boolean =>
  agents.includes(agent) ||
  Number.parseInt(hash('sha256', `${sha256} ${agent}`, 'hex').slice(0, 8), 16) % SHARES <
    percent * (SHARES / 100)
