import { addressGroup } from '../../../scheduler/index.ts'
import { ForbiddenError, type HostOf, ranked } from '../../host/index.ts'
import type { Agreement } from '../contract.ts'
import { agree } from '../core/agree.ts'
import { textOf } from '../core/compare.ts'
import type { declaration } from '../declaration.ts'
import { AgreementError } from '../errors.ts'
import type { Fields } from '../extract/contract.ts'
import { PART_CHARS, PART_ITEMS, type SharedRule, type Statement } from '../messages.ts'
import type { Rule } from '../rule.ts'
import { type Seeing, see } from '../see.ts'
import { askOthers, readAnswer, type Said } from './ask-others.ts'
import { createLooks, type Seen } from './looks.ts'
import { hostsOf, sharedOf } from './shared-rule.ts'
import { bytesOf, hashOf, LOOK, rootOf, snapshotOf } from './statement.ts'

/** Pages with the pauses between them. */
const LOOK_MS = 540_000
/** Looks for others that are under way. */
const AT_ONCE = 8
/** Keys that an outcome names, of those that were seen differently. */
const NAMED = 10

export type Share = ReturnType<typeof createShare>

/** Looks that several nodes share, and on whose items they agree. */
export function createShare(
  host: Pick<HostOf<typeof declaration>, 'config' | 'peers' | 'sign' | 'isSigned' | 'signal' | 'now'>,
  seeing: Seeing
) {
  const { now } = host
  /** `at` of what was told last, by who told it about which rule */
  const heard = new Map<string, number>()
  let serving = 0
  const take = createLooks({ look, keptMs: () => host.config.shareSeconds * 1000, now })

  /** Goes on when who asked has gone: others may wait for it. It stays at the hosts of the rule, also by redirects. */
  function look(rule: SharedRule): Promise<Omit<Seen, 'at'>> {
    const signal = AbortSignal.any([host.signal, AbortSignal.timeout(LOOK_MS)])
    return see(seeing, rule, { id: '.shared', signal, onlyHosts: hostsOf(rule), onLogin() {} })
  }

  async function takeNew(rule: SharedRule): Promise<Seen> {
    const key = `${hashOf(rule)} ${host.peers.self}`
    const seen = await take(rule, heard.get(key) ?? 0)
    heard.set(key, seen.at)
    return seen
  }

  function state(rule: SharedRule, { at, pages, items }: Seen): Statement {
    const hash = hashOf(rule)
    const { region } = host.config
    const statement = { at, snapshot: snapshotOf(pages), root: rootOf(hash, items), region }
    return { ...statement, signature: host.sign(LOOK, bytesOf(hash, statement)) }
  }

  async function ask(peer: string, rule: SharedRule, { regions }: Rule, signal: AbortSignal) {
    const key = `${hashOf(rule)} ${peer}`
    const exchange = host.peers.open(peer, 'look', { rule, after: heard.get(key) ?? 0 }, { signal })
    const answer = await readAnswer(exchange, { peer, rule, regions, isSigned: host.isSigned })
    heard.set(key, answer.statement.at)
    return answer
  }

  const others = (): string[] => host.config.lookPeers.filter(peer => peer !== host.peers.self)

  return {
    /**
     * Looks here and at as many others as the rule wants.
     *
     * @throws {AgreementError} no majority of them has answered
     */
    async look(rule: Rule, asked: number, signal: AbortSignal) {
      const shared = sharedOf(rule)
      const [own, told] = await Promise.all([
        takeNew(shared),
        // those who watch the same host ask the same nodes: the more watch it, it is not read more often
        askOthers(ranked(hostsOf(shared)[0]!, others()), asked - 1, {
          ask: peer => ask(peer, shared, rule, signal),
          networkOf(peer) {
            const address = host.peers.addressOf(peer)
            return address && addressGroup(address)
          }
        })
      ])
      const self = { peer: host.peers.self, statement: state(shared, own), items: own.items }
      const said: Said[] = [self, ...told]
      const answers = said.filter(each => 'items' in each)
      if (answers.length * 2 <= asked)
        throw new AgreementError(
          `${answers.length} of ${asked} nodes looked: ${told.map(each => ('reason' in each ? `${each.peer}: ${each.reason}` : '')).join(' ') || 'name others in watch.lookPeers'}`
        )
      const { found, unconfirmed, differing } = agree(
        answers.map(({ items }) => items),
        asked
      )
      const agreement: Agreement = {
        unconfirmed: [...unconfirmed].slice(0, NAMED),
        answers: said.map(each => {
          if ('reason' in each) return { peer: each.peer, is: 'silent', keys: [], reason: each.reason }
          const { signature, ...statement } = each.statement
          const keys = differing[answers.indexOf(each)]!.slice(0, NAMED)
          const is = keys.length === 0 ? 'agrees' : 'differs'
          return {
            peer: each.peer,
            is,
            keys,
            statement: { ...statement, signature: Buffer.from(signature).toString('hex') }
          }
        })
      }
      return { pages: own.pages, own: own.items, found, unconfirmed, agreement }
    },

    /** For another node, at hosts that the owner of this one has named. */
    async answer(
      { rule, after }: { rule: SharedRule; after: number },
      send: (items: Fields[]) => Promise<void>
    ): Promise<Statement> {
      const strange = hostsOf(rule).find(name => !host.config.lookHosts.includes(name))
      if (strange != null)
        throw new ForbiddenError(`this node does not look at ${strange} for others (watch.lookHosts)`)
      // a look goes on when who asked has gone, so who comes and goes could begin any number
      if (serving >= AT_ONCE)
        throw new ForbiddenError(`this node looks at ${AT_ONCE} pages for others already`)
      serving++
      const seen = await take(rule, after).finally(() => serving--)
      for (const part of partsOf(seen.items)) await send(part)
      return state(rule, seen)
    }
  }
}

/** Items in parts that go into a message each. */
function* partsOf(items: ReadonlyMap<string, Fields>): Generator<Fields[]> {
  let part: Fields[] = []
  let chars = 0
  for (const fields of items.values()) {
    part.push(fields)
    chars += textOf(fields).length
    if (chars < PART_CHARS && part.length < PART_ITEMS) continue
    yield part
    part = []
    chars = 0
  }
  if (part.length > 0) yield part
}
