import type { Caller, Handlers } from '../../host/index.ts'
import { hashOfFile } from '../adb/bring-file.ts'
import { type Asset, type Campaign, MEDIA } from '../campaigns/campaign.ts'
import type { Trigger } from '../cards/card.ts'
import type { Files, Peers } from '../context.ts'
import { TvRequestError } from '../errors.ts'
import type { Operator } from '../operators.ts'
import { type documentOperations, fileOf } from './declaration.ts'
import type { Documents } from './documents.ts'
import type { Kind } from './target.ts'

export interface DocumentOperationsInit {
  documents: Documents
  operator: Operator
  peers: Peers
  files: Files
  /** node, or node/account */
  nameOf(caller: Caller): string
  /** how the campaigns of this node are on its own TVs */
  states(): { name: string; tv: string; files: number; shown: number; isShowing: boolean }[]
  /** when triggers would have acted on a TV of this node */
  rehearse(request: {
    tv: string
    triggers: readonly Trigger[]
    hours: number
  }): Promise<{ when: string; at: number[] }[]>
  now(): number
}

type Operations = Handlers<typeof documentOperations>

/** What people ask about campaigns and cards. */
export function createDocumentOperations(init: DocumentOperationsInit): Operations {
  const { documents, operator, peers, files, nameOf, states, rehearse, now } = init

  async function targetsOf(on: string, signal: AbortSignal) {
    const { items } = await operator.find(on, signal)
    if (items.length === 0) throw new TvRequestError(`"${on}" names no TV; see artel tv list`)
    return items.map(({ agent, name: tv }) => ({ agent, tv }))
  }

  async function assetOf(text: string, signal: AbortSignal): Promise<Asset> {
    const { file, ms, mime } = fileOf(text)!
    const { cid, bytes, sha256 } = await hashOfFile(files, file, signal)
    // the nodes beside the TVs fetch it from here
    const { names } = await files.pin(cid, { signal })
    return { cid, sha256, bytes, ms, mime: mime ?? mimeOf([file, ...names.map(each => each.name)]) }
  }

  /** Nodes that do not have the newest version. */
  const late = (kind: Kind, { name, version }: { name: string; version: number }) =>
    documents
      .deliveries(kind, name)
      .filter(each => each.version < version)
      .map(({ agent, why }) => ({ agent, ...(why == null ? {} : { why }) }))

  async function end(kind: Kind, name: string): Promise<Record<never, never>> {
    const found = documents.own(kind).find(each => each.name === name)
    if (found == null) throw new TvRequestError(`this node has no ${kind} "${name}"`)
    const { issuer: _, version: __, ...rest } = found
    await documents.issue(kind, { ...rest, targets: [] } as never)
    return {}
  }

  return {
    async setCampaign({ name, on, files: wanted, start, end: until, ...plan }, call) {
      const times = { start: start == null ? now() : Date.parse(start), end: Date.parse(until) }
      if (times.end <= times.start || times.end <= now())
        throw new TvRequestError('a campaign ends after it starts, and in the future')
      const targets = await targetsOf(on, call.signal)
      const assets: Asset[] = []
      for (const text of wanted) assets.push(await assetOf(text, call.signal))
      const by = nameOf(call.caller)
      const issued = await documents.issue('campaign', { name, by, on, targets, assets, ...times, ...plan })
      const overlaps = documents.own('campaign').filter(each => each.name !== name && isBeside(each, issued))
      return { ...issued, overlaps: overlaps.map(each => ({ name: each.name, priority: each.priority })) }
    },

    async campaigns(_, { signal }) {
      const own = documents.own('campaign')
      const agents = new Set(own.flatMap(({ targets }) => targets.map(({ agent }) => agent)))
      const found = new Map<string, ReturnType<typeof states>>()
      await Promise.all(
        [...agents].map(async agent => {
          if (agent === peers.self) return found.set(agent, states())
          try {
            const { items } = await peers.ask(agent, 'states', {}, { signal })
            return found.set(agent, items)
          } catch {
            // a node that does not answer says nothing of its TVs
            signal.throwIfAborted()
            return undefined
          }
        })
      )
      return {
        items: own.map(each => ({
          ...each,
          files: each.assets.length,
          bytes: each.assets.reduce((sum, { bytes }) => sum + bytes, 0),
          tvs: each.targets.map(({ agent, tv }) => {
            const state = found.get(agent)?.find(at => at.name === each.name && at.tv === tv)
            const { files: there, shown, isShowing } = state ?? { files: 0, shown: 0, isShowing: false }
            return { agent, tv, files: there, shown, isShowing, isReady: there === each.assets.length }
          }),
          late: late('campaign', each)
        }))
      }
    },

    endCampaign: ({ name }) => end('campaign', name),

    async setCard({ name, on, ...card }, call) {
      const targets = await targetsOf(on, call.signal)
      return documents.issue('card', { name, by: nameOf(call.caller), on, targets, ...card })
    },

    cards: () => ({ items: documents.own('card').map(each => ({ ...each, late: late('card', each) })) }),

    endCard: ({ name }) => end('card', name),

    async rehearse({ on, triggers, hours }, { signal }) {
      const targets = await targetsOf(on, signal)
      return {
        items: await Promise.all(
          targets.map(async ({ agent, tv }) => {
            const request = { tv, triggers, hours }
            try {
              if (agent === peers.self) return { agent, tv, triggers: await rehearse(request) }
              const { items } = await peers.ask(agent, 'replay', request, { signal })
              return { agent, tv, triggers: items }
            } catch (error) {
              signal.throwIfAborted()
              return { agent, tv, triggers: [], why: (error as Error).message }
            }
          })
        )
      }
    }
  }
}

function mimeOf(names: readonly string[]): string {
  const endings: Record<string, string> = { mp4: 'mp4', webm: 'webm', jpg: 'jpeg', jpeg: 'jpeg', png: 'png' }
  for (const name of names) {
    const kind = endings[/\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? '']
    const mime = MEDIA.find(each => each.endsWith(`/${kind}`))
    if (mime != null) return mime
  }
  throw new TvRequestError(
    `what kind of file is ${names[0]?.slice(0, 60)}? Write its type behind the seconds: ${MEDIA.join(', ')}`
  )
}

/** Both at some time on some TV; their hours may still keep them apart. */
const isBeside = (a: Campaign, b: Campaign): boolean =>
  a.start < b.end &&
  b.start < a.end &&
  a.targets.some(one => b.targets.some(two => one.agent === two.agent && one.tv === two.tv))
