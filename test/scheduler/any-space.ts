import fc from 'fast-check'
import type { Space } from '../../scheduler/spaces/index.ts'

/** Small spaces of every type. */
export const anySpace: fc.Arbitrary<Space> = fc
  .oneof(
    fc.record({ type: fc.constant('combinations' as const), n: fc.nat(9), k: fc.nat(5) }),
    fc.record({ type: fc.constant('multisets' as const), n: fc.integer({ min: 1, max: 6 }), k: fc.nat(4) }),
    fc.record({ type: fc.constant('permutations' as const), n: fc.nat(6), k: fc.nat(6) }),
    fc.record({ type: fc.constant('permutations' as const), n: fc.nat(6) }),
    fc.record({ type: fc.constant('subsets' as const), n: fc.integer({ min: 1, max: 9 }) }),
    fc.record({
      type: fc.constant('product' as const),
      radices: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 })
    }),
    fc.record(
      {
        type: fc.constant('partitions' as const),
        n: fc.integer({ min: 1, max: 14 }),
        parts: fc.integer({ min: 1, max: 14 }),
        max: fc.integer({ min: 1, max: 14 })
      },
      { requiredKeys: ['type', 'n'] }
    ),
    fc.record({ type: fc.constant('set_partitions' as const), n: fc.integer({ min: 1, max: 6 }) })
  )
  .map(space =>
    'k' in space && space.type !== 'multisets' ? { ...space, k: Math.min(space.k!, space.n) } : space
  )
  .map(space =>
    space.type === 'partitions' && space.parts != null
      ? { ...space, parts: Math.min(space.parts, space.n) }
      : space
  ) as fc.Arbitrary<Space>
