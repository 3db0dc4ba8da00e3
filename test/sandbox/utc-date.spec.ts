import { strict as assert } from 'node:assert'
import { createContext, runInContext } from 'node:vm'
import fc from 'fast-check'
import { utcDate } from '../../sandbox/web/utc-date.ts'

/** Runs in a realm of its own; what is asked of Date there comes back as text. */
type Ask = (script: string) => string

const realm = (first: string): Ask => {
  const context = createContext()
  runInContext(`"use strict";${first}`, context)
  return script =>
    runInContext(`(() => { try { return String(${script}) } catch (e) { return e.name } })()`, context)
}

describe('sandbox: dates in a browser', () => {
  const zone = process.env.TZ
  after(() => {
    if (zone == null) delete process.env.TZ
    else process.env.TZ = zone
  })

  /** Whatever it is in a zone far from it must be what the engine itself says in UTC. */
  function assertSame(scripts: string[]): void {
    process.env.TZ = 'America/St_Johns'
    const ours = realm(`(${utcDate})()`)
    const got = scripts.map(ours)
    process.env.TZ = 'UTC'
    const expected = scripts.map(realm(''))
    assert.deepEqual(got, expected)
  }

  const time = fc.oneof(fc.integer({ min: -8.64e15, max: 8.64e15 }), fc.integer({ min: 0, max: 2e12 }))

  it('are read, written and changed as in UTC, whatever its zone', () => {
    const names = Object.getOwnPropertyNames(Date.prototype)
    const getters = names.filter(name => /^get|^to(Date|Time|ISO|UTC)?String$|^valueOf$/.test(name))
    const setters = names.filter(name => /^set/.test(name) && name !== 'setYear')
    assert.ok(getters.length > 20 && setters.length > 14)
    fc.assert(
      fc.property(time, fc.integer({ min: -100, max: 100 }), (ms, by) =>
        assertSame([
          ...getters.map(name => `new Date(${ms}).${name}()`),
          ...setters.map(name => `new Date(${ms}).${name}(${by})`),
          ...getters.map(name => `new Date(NaN).${name}()`),
          `new Date(${by}, ${by % 20}, 5, 6).getTime()`,
          `Object.is(new Date(${ms}).getTimezoneOffset(), 0)`
        ])
      ),
      { numRuns: 200 }
    )
  })

  it('are read from the texts that ECMAScript defines, and from those that they give', () => {
    fc.assert(
      fc.property(time, ms => {
        const date = new Date(ms)
        const iso = date.toISOString()
        const texts = [
          iso,
          iso.slice(0, -1),
          iso.slice(0, -5),
          iso.slice(0, -8),
          iso.replace(/T.*/, ''),
          iso.replace(/-\d\dT.*/, ''),
          iso.replace('Z', '+05:30'),
          date.toUTCString(),
          date.toUTCString().replace('GMT', 'GMT+0200 (somewhere)'),
          'no date',
          '2020-13-77'
        ]
        assertSame(texts.flatMap(text => [`Date.parse('${text}')`, `new Date('${text}').getTime()`]))
      }),
      { numRuns: 200 }
    )
  })

  it('are refused where a text or an object has to be read by the zone of the browser', () => {
    const ours = realm(`(${utcDate})()`)
    for (const given of [
      "'Jan 1 2000'",
      "'2000/01/01 10:00'",
      "'1/2/2000'",
      "'2000-1-1'",
      "['2000-01-01T00:00']"
    ])
      assert.equal(ours(`new Date(${given}).getTime()`), 'TypeError', given)
    assert.equal(ours('typeof Date.prototype.toTemporalInstant'), 'undefined')
  })

  it('are dates still, of subclasses too', () => {
    assertSame([
      'new Date(new Date(5)).getTime()',
      'new Date(null).getTime()',
      'new (class Day extends Date {})(2000, 1).getTime()',
      'new (class Day extends Date {})(2000, 1) instanceof Date',
      'new Date(0) + 1',
      'typeof Date()'
    ])
  })
})
