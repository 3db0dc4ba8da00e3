import { deepEqual, equal, ok } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { pathOf } from '../../../services/tv/campaigns/campaign.ts'
import { createShow } from '../../../services/tv/campaigns/show.ts'
import { createScreenWatch, isBlack, type ScreenFault } from '../../../services/tv/campaigns/watch-screen.ts'
import { MIGRATIONS } from '../../../services/tv/schema.ts'

const BOTH: readonly ScreenFault[] = ['black', 'still']
const { signal } = new AbortController()

/** What a watch says of pictures 20 s apart: a letter each, upper case where it is the first of a showing; `.` is black. */
function told(
  pictures: string,
  { counts = BOTH, isFilm = true, everyMs = 20_000 } = {}
): (string | undefined)[] {
  const watch = createScreenWatch()
  return [...pictures].map((each, i) =>
    watch(
      {
        hash: each.toLowerCase(),
        isBlack: each === '.',
        isFilm,
        isFirst: each !== each.toLowerCase()
      },
      counts,
      i * everyMs
    )
  )
}

describe('tv: a screen during a campaign', () => {
  it('is black or still when it was so for a minute, and well with the first picture that is otherwise', () => {
    deepEqual(told('a....b'), [undefined, undefined, undefined, undefined, 'black', undefined])
    deepEqual(told('Aaaaab'), [undefined, undefined, undefined, 'still', 'still', undefined])
    equal(told('Aaaa', { counts: ['black'] }).at(-1), undefined)
    equal(told('....', { counts: ['still'] }).at(-1), 'still')
    equal(told('....', { counts: [] }).at(-1), undefined)
  })

  it('is not still where a picture is shown, where a film begins as it did before, or where nobody looked between', () => {
    equal(told('Aaaaaa', { isFilm: false }).at(-1), undefined)
    equal(told('AAAAAAAA').at(-1), undefined)
    equal(told('AbAbAbAb').at(-1), undefined)
    equal(told('Aaaaaa', { everyMs: 60_000 }).at(-1), undefined)
    equal(told('......', { everyMs: 60_000 }).at(-1), undefined)
    // one that stands still over showings does
    equal(told('AaAa').at(-1), 'still')
  })

  it('is black when nothing is to be seen in any part of it', () => {
    const picture = (fill: number[]): Uint8Array => {
      const data = new Uint8Array(1920 * 1080 * 4)
      for (let at = 0; at < data.length; at += 4) data.set(fill, at)
      return data
    }
    const data = picture([16, 16, 16, 255])
    const size = { width: 1920, height: 1080 }
    ok(isBlack({ ...size, data }))
    ok(!isBlack({ ...size, data: picture([0, 0, 40, 255]) }))
    // a logo in a corner
    for (let y = 0; y < 60; y++) for (let x = 0; x < 60; x++) data.set([255, 0, 0, 255], (y * 1920 + x) * 4)
    ok(!isBlack({ ...size, data }))
  })

  /** Films on a TV; `stepMs`: what each question takes on the clock, so that nothing here waits. */
  function showing(faults: readonly ScreenFault[], { ms = 40_000, stepMs = 20_000 } = {}) {
    const db = new DatabaseSync(':memory:')
    for (const sql of MIGRATIONS) db.exec(sql)
    let asked = 0
    const now = (): number => Date.now() + asked * stepMs
    let captures = 0
    const screen = { colour: 0 }
    const notes: Record<string, unknown>[] = []
    const asset = { cid: 'a', sha256: 'a', bytes: 1, mime: 'video/mp4', ms }
    const campaign = {
      ...{ name: 'c', version: 1, issuer: 'i', by: 'i', priority: 0, schedule: [], assets: [asset] },
      ...{ start: 0, end: Number.MAX_SAFE_INTEGER }
    }
    const campaigns = { all: [campaign] }
    const tv = {
      place: { name: 'tv' },
      lamp: 'shell',
      faults,
      readings: { power: 'on', campaign: 'c' },
      say: async () => undefined,
      look: async () => ({ power: 'on', playback: 'playing', playing: pathOf(asset) }),
      link: {
        async run(command: string) {
          asked++
          if (command !== 'screencap') return { out: Buffer.alloc(0), err: Buffer.alloc(0), code: 0 }
          captures++
          const out = Buffer.alloc(16 + 4, screen.colour)
          out.writeUInt32LE(1, 0)
          out.writeUInt32LE(1, 4)
          return { out, err: Buffer.alloc(0), code: 0 }
        }
      },
      note: async (kind: string, body: object) => void notes.push({ kind, ...body })
    }
    const show = createShow({
      db,
      bring: { isReady: () => true, forget: () => undefined } as never,
      tvs: new Map(),
      campaigns: () => campaigns.all as never,
      find: () => campaign as never,
      isHeld: () => false,
      now
    })
    return {
      show,
      screen,
      campaigns,
      next: () => show.next(tv as never, signal),
      captures: () => captures,
      screens: () => notes.filter(({ kind }) => kind === 'screen').map(({ is, wrong }) => [is, wrong]),
      shown: () => notes.filter(({ kind }) => kind === 'showing').map(({ is }) => is)
    }
  }

  it('is an event when it goes black and when it is well again, and a fault in between; showings go on', async () => {
    const { show, screen, campaigns, next, screens, shown } = showing(['black'])
    for (let i = 0; i < 3; i++) await next()
    ok(show.hasFault('tv'))
    deepEqual(screens(), [['black', true]])
    screen.colour = 200
    await next()
    ok(!show.hasFault('tv'))
    screen.colour = 0
    for (let i = 0; i < 3; i++) await next()
    ok(show.hasFault('tv'))
    // when nothing is to be shown, nothing is wrong
    campaigns.all = []
    await next()
    ok(!show.hasFault('tv'))
    deepEqual(screens(), [
      ['black', true],
      ['well', false],
      ['black', true],
      ['well', false]
    ])
    deepEqual(shown(), Array(7).fill('shown'))
  })

  it('is looked at once a showing, and more often where its profile says what ails it', async () => {
    const { show, next, captures, screens } = showing([])
    for (let i = 0; i < 4; i++) await next()
    equal(captures(), 4)
    ok(!show.hasFault('tv'))
    deepEqual(screens(), [])
    const often = showing(['still'], { ms: 2_000, stepMs: 0 })
    // a computer that stands still in the middle misses the second look
    for (let i = 0; i < 20 && often.captures() === often.shown().length; i++) await often.next()
    ok(often.captures() > often.shown().length)
  })
})
