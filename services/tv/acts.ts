import { setTimeout as delay } from 'node:timers/promises'
import { bringFile } from './adb/bring-file.ts'
import type { CallOptions, Link } from './adb/link.ts'
import { commandLine } from './adb/quote.ts'
import type { Values } from './condition.ts'
import type { Files } from './context.ts'
import { TvFailedError } from './errors.ts'
import { KEYS } from './operations/keys.ts'
import type { Answer, Args } from './operations/perform.ts'
import { MIN_OFF_SECONDS, type Relay } from './relay.ts'
import { previewOf } from './screen.ts'

const PACKAGE = '/data/local/tmp/artel.apk'
const ANSWERS_EVERY_MS = 1_000
/** the outcome of a command has room for no more */
const MAX_OUT_CHARS = 3_500

export interface ActsInit {
  link: Link
  files: Files
  /** undefined: it has none */
  relay?: Relay
  look(signal?: AbortSignal): Promise<Values>
}

export type Act = (args: Args, options: CallOptions) => Promise<Answer & { picture?: Uint8Array }>

/** Operations that are more than commands. */
export function createActs({ link, files, relay, look }: ActsInit): Readonly<Record<string, Act>> {
  const muteAs =
    (wanted: boolean): Act =>
    async (_, options) => {
      // there is only a key that turns it over
      if ((await look(options.signal)).muted !== wanted)
        await link.run(commandLine('input', 'keyevent', KEYS.volumeMute!), options)
      return {}
    }

  function demandRelay(): Relay {
    if (relay == null) throw new TvFailedError('it has no relay; see tv.relays')
    return relay
  }

  /** A TV whose power is cut while it writes can be broken by it. */
  async function cut(seconds: number, options: CallOptions): Promise<Relay> {
    const by = demandRelay()
    if (updates > 0) throw new TvFailedError('it is being updated; its power stays')
    // one that does not answer is cut off all the same: that is what the relay is for
    if (link.lamp === 'shell')
      await link.run(commandLine('input', 'keyevent', KEYS.sleep!), options).catch((error: Error) => {
        if (!/^Tv(Down|Overdue|Protocol)Error$/.test(error.name)) throw error
      })
    await by.off(seconds)
    return by
  }

  let preview: { at: number; picture: Uint8Array } | undefined
  let updates = 0
  async function updating<T>(work: () => Promise<T>): Promise<T> {
    updates++
    try {
      return await work()
    } finally {
      updates--
    }
  }

  const install = (path: string, options: CallOptions): Promise<void> =>
    updating(async () => {
      const { out, err, code } = await link.run(commandLine('pm', 'install', '-r', path), options)
      const text = Buffer.concat([out, err]).toString().trim()
      if (code !== 0 || !text.includes('Success')) throw new TvFailedError(`apps: ${text.slice(0, 300)}`)
    })

  return {
    async 'power.off'({ seconds }, options) {
      await cut(Number(seconds), options)
      return {}
    },
    async 'power.on'(_, { signal }) {
      await demandRelay().on(signal!)
      return {}
    },
    async 'power.cycle'(_, options) {
      const by = await cut(MIN_OFF_SECONDS, options)
      const signal = AbortSignal.any([options.signal!, AbortSignal.timeout(options.deadlineMs!)])
      await by.isBack(signal)
      // an answer that began after the power was back: the lamp can be one from before
      while (!(await link.run('true', { signal }).then(Boolean, () => false)))
        await delay(ANSWERS_EVERY_MS, undefined, { signal })
      return {}
    },
    async 'key.sequence'({ codes }, options) {
      const { code } = await link.run(commandLine('input', 'keyevent', ...String(codes).split(',')), options)
      if (code !== 0) throw new TvFailedError(`exit code ${code}`)
      return {}
    },
    async 'files.push'({ cid, path }, options) {
      await bringFile({ files, link }, { cid: String(cid), path: String(path) }, options)
      return {}
    },
    async 'apps.install'({ path }, options) {
      await install(String(path), options)
      return {}
    },
    async 'apps.update'({ cid }, options) {
      await bringFile({ files, link }, { cid: String(cid), path: PACKAGE }, options)
      try {
        await install(PACKAGE, options)
      } finally {
        await link.run(commandLine('rm', '-f', PACKAGE), options)
      }
      return {}
    },
    'sound.mute': muteAs(true),
    'sound.unmute': muteAs(false),
    async 'screen.shot'(_, options) {
      const { out, code } = await link.run('screencap -p', options)
      if (code !== 0 || Buffer.from(out.subarray(1, 4)).toString() !== 'PNG')
        throw new TvFailedError('the TV gave no picture')
      return { picture: out }
    },
    async 'screen.preview'({ age }, options) {
      if (preview == null || performance.now() - preview.at > Number(age) * 1000) {
        const { out, code } = await link.run('screencap', options)
        if (code !== 0) throw new TvFailedError('the TV gave no picture')
        preview = { at: performance.now(), picture: previewOf(out) }
      }
      return { picture: preview.picture }
    },
    async 'shell.run'({ command }, options) {
      const { out, err, code } = await link.run(String(command), options)
      const text = Buffer.concat([out, err]).toString()
      if (code !== 0) throw new TvFailedError(`exit code ${code}: ${text.trim().slice(0, 300)}`)
      return { out: text.slice(0, MAX_OUT_CHARS) }
    }
  }
}
