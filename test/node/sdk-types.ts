import type {
  Artel,
  Best,
  Enumerated,
  Job,
  Matrix,
  Outcome,
  ResultMatrix,
  Stream,
  Tensor
} from '../../node/sdk/index.ts'

/** What the SDK's types promise; tsc checks this file, nothing runs it. */
export function sdkTypes(artel: Artel): void {
  is<Job<number>>()(artel.rangeReduce({ start: 1, end: 9, map: x => x * 2 }))
  is<Job<bigint>>()(artel.rangeReduce({ start: 1, end: 9, exact: true }))
  is<Job<{ n: number }>>()(
    artel.rangeReduce({
      start: 1,
      end: 9,
      operation: 'custom',
      reduce: (a: { n: number }, _: { n: number }) => a
    })
  )
  is<Stream<number>>()(artel.map(['a', 'b'], word => word.length))
  is<Stream<string>>()(artel.map([1, 2], async x => `${x}`))
  is<Stream<number>>()(artel.map<number>([1, 2], 'x + 1'))
  is<Stream<unknown>>()(artel.map([1, 2], 'x + 1'))
  is<Stream<string>>()(artel.filter(['a'], word => word !== ''))
  is<Job<[string, number][]>>()(artel.mapReduce(['a b'], text => [text, 1] as const, 'sum'))
  is<Job<number>>()(artel.mapReduce([1, 2], x => x * x, 'max'))
  is<Job<[string, number][]>>()(
    artel.mapReduce(['a b'], text => [text, 1] as const, 'sum', { grouped: true })
  )
  is<Job<readonly [string, 1]>>()(
    artel.mapReduce(
      ['a b'],
      text => [text, 1] as const,
      (a, b) => [a[0] + b[0], 1] as const,
      {
        grouped: false
      }
    )
  )
  const hands = { type: 'combinations', n: 52, k: 5 } as const
  is<Job<Enumerated<'histogram'>>>()(artel.enumerate({ space: hands, aggregate: 'histogram' }))
  const both = artel.enumerate({
    space: hands,
    evaluate: (item, rank) => item.length + rank,
    aggregate: { all: 'count', best: { operation: 'topk', k: 3 } }
  })
  both.then(({ value }) => {
    is<number>()(value.all)
    is<Best[]>()(value.best)
  })
  const m: Matrix = { rows: 1, cols: 1, data: [1] }
  is<Job<ResultMatrix>>()(artel.matrix('multiply', m, m))
  is<Job<number>>()(artel.matrix('determinant', m))
  is<Job<{ q: ResultMatrix; r: ResultMatrix }>>()(artel.matrix('qr', m))
  is<Job<Record<string, Tensor>>>()(
    artel.mlInference({ model: { cid: 'b' }, input: { dims: [1], data: [1] } })
  )
  is<Job<string>>()(artel.script((n: number) => `${n}`, 1))
  is<Job<number[]>>()(artel.python<number>({ source: 'def main(x): return x', items: [1, 2] }))
  is<Job<number[]>>()(artel.wasm<number>({ module: new Uint8Array(), export: 'f', items: [1, 2] }))
  is<Job<string[]>>()(artel.submit({ type: 'map', items: [1], fn: (x: number) => `${x}` }))
  is<Job<number>>()(artel.submit({ type: 'range_reduce', start: 1, end: 2 }))
  is<Job<Outcome<number>[]>>()(artel.submitMany<number>([{ type: 'script', source: '' }]))
  is<Job<{ a: number[]; b: unknown }>>()(
    artel.pipeline([
      { id: 'a', task: { type: 'map', items: [1], fn: (x: number) => x } },
      { id: 'b', task: { type: 'script', source: '' }, dependsOn: ['a'] }
    ])
  )
  is<Job<Date>>()(artel.job<Date>('0'))

  // @ts-expect-error: the items are strings
  artel.map(['a'], (x: number) => x)
  // @ts-expect-error: no such operation
  artel.rangeReduce({ start: 1, end: 2, operation: 'median' })
  // @ts-expect-error: no such task
  artel.submit({ type: 'guess' })
  // @ts-expect-error: a script takes the input that its function names
  artel.script((n: number) => n, 'one')
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Exactly this type and no other. */
function is<Expected>(): <Got>(value: Same<Expected, Got> extends true ? Got : never) => void {
  return () => {}
}
