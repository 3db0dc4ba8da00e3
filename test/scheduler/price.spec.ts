import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import {
  basePrice,
  boundOf,
  marketFactor,
  PRIORITY_FACTOR,
  priceOf,
  product,
  quoteOf,
  reputationFactor,
  reservation,
  scarcityFactor,
  smoothed
} from '../../scheduler/market/price.ts'
import { createMarket, outlook } from '../../scheduler/market/price-level.ts'

const priorities = ['low', 'normal', 'high', 'critical'] as const
const priority = fc.constantFrom(...priorities)
const ms = fc.double({ min: 0, max: 1e9, noNaN: true })
const factor = fc.double({ min: 0.1, max: 20, noNaN: true })
const share = fc.double({ min: 0, max: 1, noNaN: true })

describe('scheduler: price', () => {
  it('has the base prices of tasks.md', () => {
    assert.equal(basePrice({ cpuMs: 1000 }), 10_000n)
    assert.equal(basePrice({ gpuMs: 1000 }), 50_000n)
    assert.equal(basePrice({ memoryMbMs: 1000 * 3_600_000 }), 20_000n)
    assert.equal(basePrice({ diskMbMs: 1000 * 3_600_000 }), 5_000n)
    assert.equal(basePrice({}), 0n)
    assert.equal(basePrice({ cpuMs: 2000, gpuMs: 1000, memoryMbMs: 3.6e9, diskMbMs: 3.6e9 }), 95_000n)
  })

  it('has the factors of tasks.md', () => {
    assert.deepEqual(
      priorities.map(name => PRIORITY_FACTOR[name]),
      [0.8, 1, 1.5, 2]
    )
    assert.deepEqual(
      [0, 0.59, 0.6, 0.79, 0.8, 0.94, 0.95, 1].map(marketFactor),
      [0.8, 0.8, 1, 1, 1.3, 1.3, 1.8, 1.8]
    )
    const levels = ['terrible', 'poor', 'average', 'good', 'excellent'] as const
    assert.deepEqual(levels.map(reputationFactor), [1.5, 1.2, 1, 0.9, 0.8])
    assert.equal(reputationFactor(undefined), 1)
    assert.ok(Math.abs(smoothed(1, 1) - 1.24) < 1e-12, '0.7 × 1 + 0.3 × 1.8')
  })

  it('charges memory beside CPU time, and never nothing', () => {
    // one hour at 1000 MB: 36 credits of CPU and 0.02 of memory
    assert.equal(priceOf(3_600_000, 'normal', { memoryMb: 1000 }), 36_020_000n)
    assert.equal(priceOf(1000, 'critical', { factor: 1.3 }), 26_000n)
    assert.equal(priceOf(0, 'low'), 1n)
  })

  it('never falls when time, priority or a factor grows', () => {
    fc.assert(
      fc.property(ms, ms, priority, factor, factor, (a, b, name, f, g) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)]
        assert.ok(priceOf(less, name, { factor: f }) <= priceOf(more, name, { factor: f }))
        assert.ok(
          priceOf(a, name, { factor: Math.min(f, g) }) <= priceOf(a, name, { factor: Math.max(f, g) })
        )
        assert.ok(priceOf(a, 'low') <= priceOf(a, name) && priceOf(a, name) <= priceOf(a, 'critical'))
      })
    )
  })

  it('keeps scarcity between 1 and 3 and lets it grow with rarity', () => {
    assert.equal(scarcityFactor(25, 100), 2)
    assert.equal(scarcityFactor(0, 100), 3)
    assert.equal(scarcityFactor(0, 0), 1)
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(5000), fc.nat(5000), (a, b, offers) => {
        const [rare, common] = [
          scarcityFactor(Math.min(a, b), offers),
          scarcityFactor(Math.max(a, b), offers)
        ]
        assert.ok(1 <= common && common <= rare && rare <= 3)
      })
    )
  })

  it('keeps the market between 0.8 and 1.8 whatever is seen', () => {
    fc.assert(
      fc.property(fc.array(share, { maxLength: 200 }), looks => {
        const market = createMarket()
        looks.forEach((utilisation, i) => void market.look(utilisation, i * 10_000))
        assert.ok(market.factor >= 0.8 - 1e-12 && market.factor <= 1.8 + 1e-12)
      })
    )
  })
})

describe('scheduler: quote', () => {
  const factors = { market: 1, scarcity: 1, reputation: 1, multiplier: 1, verification: 1 }

  it('never exceeds its bound, and the bound never the maximum', () => {
    const maxPrice = fc.option(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { nil: undefined })
    const basis = fc.constantFrom('measured' as const, 'calibrated' as const, 'default' as const)
    fc.assert(
      fc.property(
        ms,
        priority,
        factor,
        factor,
        maxPrice,
        basis,
        (cpuMs, name, market, verification, most, from) => {
          const quote = quoteOf({
            cpuMs,
            basis: from,
            memoryMb: 256,
            priority: name,
            factors: { ...factors, market, verification },
            bound: boundOf(most)
          })
          assert.ok(quote.expected > 0n && quote.expected <= quote.bound)
          assert.ok(quote.expected <= quote.fair)
          if (most != null) assert.ok(Number(quote.bound) <= most * 1e6)
        }
      )
    )
  })

  it('multiplies what the factors say', () => {
    const all = { market: 1.3, scarcity: 2, reputation: 0.9, multiplier: 1.5, verification: 1.1 }
    const quote = quoteOf({
      cpuMs: 10_000,
      basis: 'measured',
      memoryMb: 0,
      priority: 'high',
      factors: all,
      bound: 1n
    })
    assert.equal(quote.fair, BigInt(Math.round(100_000 * 1.5 * 1.3 * 2 * 0.9 * 1.5 * 1.1)))
    assert.equal(product({}), 1)
  })

  it('reserves what a job can cost, something of what there is where nothing is known of it, and 1 credit at most', () => {
    const available = 100_000_000n
    assert.equal(reservation({ available }), 1_000_000n)
    assert.equal(reservation({ available: 10_000_000n }), 100_000n)
    assert.equal(reservation({ available: 0n }), 5_000n)
    assert.equal(reservation({ available, expected: 1n }), 5_000n)
    assert.equal(reservation({ available, expected: 10_000n }), 40_000n)
    assert.equal(reservation({ available, expected: 900_000n }), 1_000_000n)
    // a grant is enough for hundreds of which nothing is known, and thousands of small ones
    let left = available
    for (let i = 0; i < 300; i++) left -= reservation({ available: left })
    for (let i = 0; i < 900; i++) left -= reservation({ available: left, expected: 1n })
    assert.ok(left > 0n, `${left}`)
  })

  it('expects the bound where nothing is known', () => {
    const quote = quoteOf({ basis: 'default', memoryMb: 0, priority: 'normal', factors, bound: 3_000_000n })
    assert.deepEqual([quote.expected, quote.bound, quote.basis], [3_000_000n, 3_000_000n, 'default'])
  })
})

describe('scheduler: forecast', () => {
  const line = (slope: number, noise: number[] = []) =>
    Array.from({ length: 60 }, (_, i) => ({ at: i * 60_000, level: 1 + slope * i + (noise[i] ?? 0) }))

  it('continues a straight line exactly', () => {
    const { level, low, high } = outlook(line(0.002), 119 * 60_000)
    assert.ok(Math.abs(level - 1.238) < 1e-9)
    assert.ok(high - low < 1e-6, 'a line without noise leaves no doubt')
  })

  it('gives the prediction interval of the textbook', () => {
    // by hand for x = 0, 1, 2, 3 and y = 1, 1.2, 1.1, 1.3: slope 0.08, mean 1.15, SSE 0.018
    const points = [1, 1.2, 1.1, 1.3].map((level, at) => ({ at, level }))
    const { level, low, high } = outlook(points, 4)
    const half = 1.96 * Math.sqrt((0.018 / 2) * (1 + 1 / 4 + 2.5 ** 2 / 5))
    assert.ok(Math.abs(level - 1.35) < 1e-12)
    assert.ok(Math.abs(high - (1.35 + half)) < 1e-12)
    assert.ok(Math.abs(low - (1.35 - half)) < 1e-12)
  })

  it('stays within what the market can be, and is less sure of what is farther', () => {
    const noise = fc.array(fc.double({ min: -0.3, max: 0.3, noNaN: true }), { minLength: 60, maxLength: 60 })
    fc.assert(
      fc.property(fc.double({ min: -0.01, max: 0.01, noNaN: true }), noise, (slope, noise) => {
        const history = line(slope, noise)
        const near = outlook(history, 120 * 60_000)
        const far = outlook(history, 420 * 60_000)
        for (const { level, low, high } of [near, far])
          assert.ok(0.8 <= low && low <= level && level <= high && high <= 1.8)
      })
    )
    const noisy = line(
      0,
      Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? 0.02 : -0.02))
    )
    const width = (hours: number): number => {
      const { low, high } = outlook(noisy, (1 + hours) * 3_600_000)
      return high - low
    }
    assert.ok(width(6) > width(1))
  })

  it('knows nothing from two looks', () => {
    const market = createMarket()
    market.look(0.7, 0)
    market.look(0.7, 60_000)
    assert.deepEqual(market.forecast(60_000).inOneHour, { level: 1, low: 0.8, high: 1.8 })
  })
})
