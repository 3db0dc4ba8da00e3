import { z } from 'zod'
import { SpecError } from '../../errors.ts'
import { countRanks, MAX_ELEMENTS, MAX_LENGTH, type Space } from '../../spaces/index.ts'
import { readSource, type Source } from '../author-source.ts'
import { withTexts } from '../authored.ts'
import { AGGREGATES } from '../enumerate/aggregates.ts'
import { type CheckedAggregate, type EnumerateTask, enumerateWork } from '../enumerate/enumerate-work.ts'
import { author, context, contextNames, integer } from '../fields.ts'
import { defineKind, type SpecOf } from '../kind.ts'

const n = z.int().min(0).max(MAX_ELEMENTS)
const k = z.int().min(0).max(MAX_LENGTH)
const spaces = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('combinations'), n, k }),
  z.strictObject({ type: z.literal('permutations'), n, k: k.optional() }),
  z.strictObject({ type: z.literal('multisets'), n, k }),
  z.strictObject({ type: z.literal('subsets'), n }),
  z.strictObject({ type: z.literal('product'), radices: z.array(n).max(MAX_LENGTH) }),
  z.strictObject({ type: z.literal('partitions'), n, parts: k.optional(), max: n.optional() }),
  z.strictObject({ type: z.literal('set_partitions'), n }),
  z.strictObject({ type: z.literal('tree'), depth: k, choices: z.union([n, z.array(n).max(MAX_LENGTH)]) })
])

const MAX_AGGREGATES = 64
const operation = z.enum(AGGREGATES)
const aggregate = z.union([
  operation,
  z.strictObject({
    operation,
    of: author
      .optional()
      .describe('what is aggregated, of the value that `evaluate` gave; default: the value'),
    k: z.int().min(1).max(10_000).optional().describe('how many topk keeps; default 10'),
    limit: z.int().min(1).max(100_000).optional().describe('how many collect keeps; default 1,000')
  })
])

const fields = {
  space: spaces,
  evaluate: author.optional().describe('(item, rank) → value; default: the item as a list'),
  prune: author.optional().describe('(prefix, depth) → true drops every item that begins so'),
  aggregate: z.union([aggregate, z.record(z.string().regex(/^[A-Za-z_]\w{0,63}$/), aggregate)]),
  from: integer.optional().describe('first rank; default 0'),
  to: integer.optional().describe('rank after the last one; default: all'),
  exact: z.boolean().default(false).describe('sums in BigInt; a pair of integers is a fraction'),
  context
}
type Given = SpecOf<'enumerate', typeof fields>
type OneAggregate = z.output<typeof aggregate>

type EnumerateSpec = Omit<Given, keyof EnumerateTask> & EnumerateTask

/** Every object of a combinatorial space, without writing them down. */
export const enumerate = defineKind({
  type: 'enumerate',
  fields,
  description:
    'Evaluates every object of a combinatorial space, in lexicographic order, and keeps counts, sums, histograms, the best.',
  limits: { timeoutMs: 60_000, items: 1e6 },
  example: {
    type: 'enumerate',
    space: { type: 'product', radices: [6, 6] },
    evaluate: 'dice => dice[0] + dice[1] + 2',
    aggregate: 'histogram'
  },
  check(spec): EnumerateSpec {
    checkRanks(spec)
    const known = contextNames(spec.context)
    const read = (field: string, source: unknown): Source | undefined =>
      source === undefined ? undefined : readSource(field, source, known)
    const isSingle = typeof spec.aggregate === 'string' || z.safeParse(aggregate, spec.aggregate).success
    const entries = Object.entries(isSingle ? { '': spec.aggregate } : spec.aggregate)
    if (entries.length === 0 || entries.length > MAX_AGGREGATES)
      throw new SpecError('aggregate', `must have 1 to ${MAX_AGGREGATES} entries, got ${entries.length}`)
    return {
      ...spec,
      evaluate: read('evaluate', spec.evaluate),
      prune: read('prune', spec.prune),
      aggregate: entries.map(([name, form]) => checkAggregate(name, form as OneAggregate, spec.exact, read))
    }
  },
  written: ({ aggregate }) => ({ aggregate: writtenAggregate(aggregate) }),
  work: enumerateWork
})

function writtenAggregate(aggregates: readonly CheckedAggregate[]): unknown {
  const forms = aggregates.map(({ name, exact: _, ...form }) => [name, withTexts(form)] as const)
  const [[name, only]] = forms as [(typeof forms)[0]]
  return name == null ? only : Object.fromEntries(forms)
}

function checkRanks({ space, prune, from, to }: Given): void {
  let total: number | undefined
  try {
    total = countRanks(space as Space)
  } catch (err) {
    if (!(err instanceof RangeError)) throw err
    throw new SpecError('space', err.message)
  }
  if (space.type === 'tree') {
    if (from != null || to != null)
      throw new SpecError('from', 'a tree has no ranks; prune what is not wanted')
    if (prune == null && total == null)
      throw new SpecError('prune', 'is missing: nobody visits more than 2^53 leaves')
    return
  }
  if (total == null)
    throw new SpecError(
      'space',
      'has more than 2^53 items, which are not numbered; use { type: "tree" } with `prune`'
    )
  const [first, end] = [from ?? 0, to ?? total]
  if (first < 0 || end < first || end > total)
    throw new SpecError('from', `from ${first} to ${end} are no ranks of a space of ${total} items`)
}

function checkAggregate(
  name: string,
  form: OneAggregate,
  exact: boolean,
  read: (field: string, source: unknown) => Source | undefined
): CheckedAggregate {
  const { operation, of, k, limit } = typeof form === 'string' ? { operation: form } : form
  const field = name === '' ? 'aggregate' : `aggregate.${name}`
  if (k != null && operation !== 'topk') throw new SpecError(`${field}.k`, 'belongs to topk')
  if (limit != null && operation !== 'collect') throw new SpecError(`${field}.limit`, 'belongs to collect')
  const source = read(`${field}.of`, of)
  return {
    operation,
    ...(name === '' ? {} : { name }),
    ...(source == null ? {} : { of: source }),
    ...(operation === 'topk' ? { k: k ?? 10 } : {}),
    ...(operation === 'collect' ? { limit: limit ?? 1000 } : {}),
    ...(operation === 'sum' ? { exact } : {})
  }
}
