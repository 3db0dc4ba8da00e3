import { z } from 'zod'
import { documentKind, type Issued } from '../../host/index.ts'
import { matches } from '../alerts/rule.ts'
import type { Body } from '../log/entry.ts'
import { wantedRelease } from '../release/release.ts'

/** Domain of an owner's signature, below the service's own. */
export const FLEET_DOMAIN = 'fleet/1'
export const MAX_DOCUMENT_BYTES = 128 * 1024
const MAX_LINES = 500
const MAX_GROUPS = 100
/** 0 looks, 1 can be undone, 2 disturbs, 3 moves money or replaces programs. */
export const RISKS = [0, 1, 2, 3] as const
export type Risk = (typeof RISKS)[number]

const peer = z.string().min(40).max(100)
const pattern = z.string().min(1).max(128)
const ms = z.int().min(0).max(8.64e15)
const value = z.union([z.number(), z.string().max(500), z.boolean()])

/** Before the name of a group, where devices are named. */
const GROUP = '@'

/** What an owner writes. */
export const wishes = z.object({
  agents: z
    .array(peer)
    .max(1000)
    .default([])
    .describe('peer ids of the nodes beside devices: they are brought the document, and asked how they are'),
  groups: z
    .record(z.string().regex(/^[\w.-]{1,64}$/), z.array(pattern).max(MAX_LINES))
    .refine(groups => Object.keys(groups).length <= MAX_GROUPS, `at most ${MAX_GROUPS} groups`)
    .default({})
    .describe('devices by a name: where devices are named, @line-2 is all that stands here for line-2'),
  settings: z
    .array(
      z.object({
        agent: peer.optional().describe('default: every one'),
        devices: pattern.describe(
          'which devices by their id, * for anything, with what is announced of them as tv:* line=2, or a group as @line-2; agent: the node itself'
        ),
        values: z.record(z.string().min(1).max(64), value)
      })
    )
    .max(MAX_LINES)
    .default([])
    .describe('how settings of devices should be; of two that name the same the later one counts'),
  grants: z
    .array(
      z.object({
        peer: peer.describe('the node that signs the command'),
        devices: pattern.default('*').describe('as in settings'),
        commands: z.array(pattern).min(1).max(50).default(['*']),
        risk: z
          .literal([...RISKS])
          .default(1)
          .describe('up to which: 0 looks, 1 can be undone, 2 disturbs, 3 moves money or replaces programs'),
        perDay: z.int().min(1).max(100_000).optional().describe('commands within 24 hours'),
        until: ms.optional().describe('ms since 1970')
      })
    )
    .max(MAX_LINES)
    .default([])
    .describe('who may command what; default: nobody'),
  release: wantedRelease.optional().describe('the program that agents should run')
})

/** The signed whole. */
const document = wishes.extend({
  fleet: z.string().min(1).max(64),
  /** counts up with each change, whoever makes it */
  version: z.int().min(1),
  /** who made it at the node that signed it */
  by: z.string().min(1).max(300),
  /** ms since 1970 */
  at: ms
})

export type Wishes = z.output<typeof wishes>
export type FleetDocument = z.output<typeof document>
export type Grant = FleetDocument['grants'][number]

export const fleetDocuments = documentKind({
  name: 'document of the fleet',
  domain: FLEET_DOMAIN,
  schema: document,
  maxBytes: MAX_DOCUMENT_BYTES
})
export type FleetIssued = Issued<FleetDocument>

type Groups = FleetDocument['groups']

/** What stands for devices in a line; undefined: a group that is not there. Pure. */
function patternsOf(groups: Groups, devices: string): readonly string[] | undefined {
  if (!devices.startsWith(GROUP)) return [devices]
  const name = devices.slice(GROUP.length)
  return Object.hasOwn(groups, name) ? groups[name] : undefined
}

/** `tv:* line=2 station=Arb*`: which ids, and what their nodes have announced of them. Pure. */
function isMeant(pattern: string, device: string, facts: Body): boolean {
  const [ids, ...wanted] = pattern.split(/ (?=[\w-]+=)/) as [string, ...string[]]
  return (
    matches(ids, device) &&
    wanted.every(each => {
      const [name, value] = each.split(/=(.*)/s, 2) as [string, string]
      return Object.hasOwn(facts, name) && matches(value, String(facts[name]))
    })
  )
}

const isAbout = (groups: Groups, devices: string, device: string, facts: Body = {}): boolean =>
  patternsOf(groups, devices)?.some(each => isMeant(each, device, facts)) === true

/** Groups that lines name and that are not there. Pure. */
export const missingGroups = ({ groups, settings, grants }: Wishes): string[] =>
  [...settings, ...grants]
    .map(({ devices }) => devices)
    .filter(devices => patternsOf(groups, devices) == null)

/** Devices that another board has taken over are those of the board that is named. Pure. */
export function standing<T extends { agent: string; id: string }>(
  rows: readonly T[],
  agents: readonly string[]
): T[] {
  const named = new Set(agents)
  const taken = new Set(rows.flatMap(({ agent, id }) => (named.has(agent) ? [id] : [])))
  return rows.filter(({ agent, id }) => named.has(agent) || !taken.has(id))
}

/** How settings of a device of an agent should be, of which that is announced. Pure. */
export function settingsFor(
  { groups, settings }: Pick<FleetDocument, 'groups' | 'settings'>,
  agent: string,
  device: string,
  facts?: Body
): Record<string, number | string | boolean> {
  const lines = settings.filter(
    each => (each.agent ?? agent) === agent && isAbout(groups, each.devices, device, facts)
  )
  return Object.assign({}, ...lines.map(({ values }) => values))
}

/** What a grant names to let a node see how devices are. */
export const READ = 'read'

/** Whether a node may see how some device is. Pure. */
export const isReader = ({ grants }: Pick<FleetDocument, 'grants'>, peer: string, now: number): boolean =>
  grants.some(
    each =>
      each.peer === peer &&
      each.commands.some(one => matches(one, READ)) &&
      (each.until == null || now <= each.until)
  )

/** The grants that allow it; none: it is not allowed. Pure. */
export const grantsFor = (
  { groups, grants }: Pick<FleetDocument, 'groups' | 'grants'>,
  {
    peer,
    device,
    facts,
    name,
    risk
  }: { peer: string; device: string; facts?: Body; name: string; risk: Risk },
  now: number
): Grant[] =>
  grants.filter(
    each =>
      each.peer === peer &&
      each.risk >= risk &&
      isAbout(groups, each.devices, device, facts) &&
      each.commands.some(one => matches(one, name)) &&
      (each.until == null || now <= each.until)
  )
