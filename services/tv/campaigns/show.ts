import { createHash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { commandLine } from '../adb/quote.ts'
import type { Issued } from '../documents/documents.ts'
import { TvFailedError } from '../errors.ts'
import { readRaw } from '../screen.ts'
import type { Tv } from '../tv.ts'
import type { Bring } from './bring.ts'
import { type Asset, pathOf } from './campaign.ts'
import { type Choice, choose } from './choose.ts'
import { createScreenWatch, isBlack, type ScreenFault } from './watch-screen.ts'

type Campaign = Issued<'campaign'>

const PLAYER = 'com.artel.player/.PlayerActivity'
/** between two pictures of a showing, where the profile asks for more than one */
const LOOK_MS = 20_000
const LEAST_LOOK_MS = 1_000
const SAYS_NO = /^(Error|Exception)/m

export interface ShowInit {
  db: DatabaseSync
  bring: Bring
  tvs: ReadonlyMap<string, Tv>
  campaigns(tv: string): readonly Campaign[]
  /** also one that is over */
  find(issuer: string, name: string): Campaign | undefined
  /** somebody else has taken this TV for himself */
  isHeld(tv: string, by: string): boolean
  now(): number
}

/** Shows campaigns, and writes down each showing: what, from when to when, and what the TV said meanwhile. */
export function createShow({ db, bring, tvs, campaigns, find, isHeld, now }: ShowInit) {
  const begin = db.prepare('INSERT OR REPLACE INTO showing VALUES (?, ?)')
  const end = db.prepare('DELETE FROM showing WHERE tv = ?')
  const open = db.prepare('SELECT tv, body FROM showing')
  const setLast = db.prepare('INSERT OR REPLACE INTO last VALUES (?, ?, ?)')
  const getLast = db.prepare('SELECT issuer, name FROM last WHERE tv = ?')
  const addShown = db.prepare(
    'INSERT INTO shown VALUES (?, ?, ?, 1) ON CONFLICT (issuer, name, tv) DO UPDATE SET n = n + 1'
  )
  const getShown = db.prepare('SELECT n FROM shown WHERE issuer = ? AND name = ? AND tv = ?')
  /** showings that failed, one after the other, by TV */
  const failures = new Map<string, number>()
  /** what is seen on each TV, and what ails its screen */
  const screens = new Map<string, { watch: ReturnType<typeof createScreenWatch>; fault?: ScreenFault }>()
  /** place in the list of the campaign that a TV shows */
  const next = new Map<string, { key: string; at: number }>()

  const keyOf = ({ issuer, name, version }: Campaign): string => `${issuer} ${name} ${version}`

  function last(tv: string): Campaign | undefined {
    const row = getLast.get(tv) as { issuer: string; name: string } | undefined
    if (row == null) return undefined
    const found = find(row.issuer, row.name)
    // ended by its issuer, or no longer allowed
    return found != null && campaigns(tv).includes(found) ? found : undefined
  }

  function choice(tv: Tv): (Choice & { campaign: Campaign }) | undefined {
    const { name } = tv.place
    const all = campaigns(name)
    if (all.length === 0) return undefined
    return choose({
      campaigns: all.filter(each => !isHeld(name, each.by)),
      last: last(name),
      isReady: each => bring.isReady(tv, each as Campaign),
      now: now()
    }) as (Choice & { campaign: Campaign }) | undefined
  }

  function nextAsset(tv: string, campaign: Campaign): Asset {
    const key = keyOf(campaign)
    const before = next.get(tv)
    const at = before?.key === key ? (before.at + 1) % campaign.assets.length : 0
    next.set(tv, { key, at })
    return campaign.assets[at]!
  }

  /** What the TV says that it shows, and a hash of its picture. */
  async function witness(tv: Tv, asset: Asset, signal: AbortSignal) {
    const { power, playback, playing } = await tv.look(signal)
    if (power !== 'on') throw new TvFailedError('its screen is off')
    if (playback !== 'playing' || !String(playing).includes(pathOf(asset)))
      throw new TvFailedError(
        `it is ${playback ?? 'idle'}, with ${String(playing ?? 'nothing').slice(0, 100)}`
      )
    return { state: String(playback), picture: await picture(tv, asset, true, signal) }
  }

  /** @returns its hash */
  async function picture(tv: Tv, { mime }: Asset, isFirst: boolean, signal: AbortSignal): Promise<string> {
    const { out } = await tv.link.run('screencap', { signal })
    const hash = createHash('sha256').update(out).digest('hex')
    if (tv.faults.length === 0) return hash
    const { name } = tv.place
    const screen = screens.get(name) ?? { watch: createScreenWatch() }
    screens.set(name, screen)
    const seen = { hash, isBlack: isBlack(readRaw(out)), isFilm: mime.startsWith('video/'), isFirst }
    await tellFault(tv, screen.watch(seen, tv.faults, now()))
    return hash
  }

  async function tellFault(tv: Tv, fault: ScreenFault | undefined): Promise<void> {
    const screen = screens.get(tv.place.name)
    if (screen == null || fault === screen.fault) return
    await tv.note('screen', { is: fault ?? 'well', wrong: fault != null })
    screen.fault = fault
  }

  /** Waits for the end of a showing; looks at the screen meanwhile where that tells something. */
  async function toEnd(tv: Tv, asset: Asset, end: number, signal: AbortSignal): Promise<void> {
    const everyMs = Math.min(LOOK_MS, asset.ms / 2)
    const looks = tv.faults.length > 0 && everyMs >= LEAST_LOOK_MS
    for (let at = now() + everyMs; looks && at < end; at += everyMs) {
      await delay(Math.max(0, at - now()), undefined, { signal })
      // who went away is told by the showing
      await picture(tv, asset, false, signal).catch(() => signal.throwIfAborted())
    }
    await delay(Math.max(0, end - now()), undefined, { signal })
  }

  async function play(tv: Tv, asset: Asset, signal: AbortSignal): Promise<void> {
    const { code, out, err } = await tv.link.run(
      commandLine(
        ...['am', 'start', '-W', '-n', PLAYER, '-a', 'android.intent.action.VIEW'],
        ...['-t', asset.mime, '-d', `file://${pathOf(asset)}`]
      ),
      { signal }
    )
    const text = Buffer.concat([out, err]).toString().trim()
    if (code === 0 && !SAYS_NO.test(text)) return
    // what was there is gone: it is brought again
    bring.forget(tv, asset)
    throw new TvFailedError(`the player said: ${text.slice(0, 200)}`)
  }

  return {
    last,

    /** Shows one asset to its end, where it is time for one. */
    async next(tv: Tv, signal: AbortSignal): Promise<void> {
      const { name } = tv.place
      // a screen that is off shows nothing
      const chosen = tv.lamp === 'shell' && tv.readings.power === 'on' ? choice(tv) : undefined
      const shows = chosen?.campaign.name ?? ''
      if (shows !== (tv.readings.campaign ?? '')) await tv.say({ campaign: shows })
      if (chosen == null) {
        failures.delete(name)
        await tellFault(tv, undefined)
        return
      }
      const { campaign, instead } = chosen
      const asset = nextAsset(name, campaign)
      const about = {
        campaign: campaign.name,
        version: campaign.version,
        issuer: campaign.issuer,
        asset: asset.cid,
        from: now(),
        ...(instead == null ? {} : { instead })
      }
      // what a crash cuts off is written after it
      begin.run(name, JSON.stringify(about))
      let result: { is: string; state?: string; picture?: string; why?: string }
      try {
        await play(tv, asset, signal)
        const seen = await witness(tv, asset, signal)
        await toEnd(tv, asset, about.from + asset.ms, signal)
        const isThere = tv.lamp === 'shell'
        result = isThere ? { is: 'shown', ...seen } : { is: 'cut', why: tv.reason ?? 'it went away', ...seen }
      } catch (error) {
        signal.throwIfAborted()
        result = { is: 'failed', why: (error as Error).message.slice(0, 300) }
      }
      await tv.note('showing', { ...about, ...result, to: now() })
      end.run(name)
      failures.set(name, result.is === 'failed' ? (failures.get(name) ?? 0) + 1 : 0)
      if (result.is === 'shown') {
        setLast.run(name, campaign.issuer, campaign.name)
        addShown.run(campaign.issuer, campaign.name, name)
      } else await delay(Math.max(0, about.from + asset.ms - now()), undefined, { signal })
    },

    failures: (tv: string): number => failures.get(tv) ?? 0,

    /** Its screen was black, or stood still, for a minute. */
    hasFault: (tv: string): boolean => screens.get(tv)?.fault != null,

    shown: ({ issuer, name }: Campaign, tv: string): number =>
      (getShown.get(issuer, name, tv) as { n: number } | undefined)?.n ?? 0,

    /** What a crash cut off. */
    async recover(): Promise<void> {
      for (const { tv, body } of open.all() as { tv: string; body: string }[]) {
        const why = 'this node ended meanwhile'
        await tvs.get(tv)?.note('showing', { ...JSON.parse(body), is: 'cut', why, to: now() })
        end.run(tv)
      }
    }
  }
}

export type Show = ReturnType<typeof createShow>
