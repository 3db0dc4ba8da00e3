import type { CallOptions, Link } from './adb/link.ts'
import { commandLine } from './adb/quote.ts'
import type { Values } from './condition.ts'
import { TvFailedError } from './errors.ts'
import { KEYS } from './operations/keys.ts'
import type { Answer, Args } from './operations/perform.ts'
import { previewOf } from './screen.ts'

const MAX_OUT_CHARS = 16_000

export interface ActsInit {
  link: Link
  look(signal?: AbortSignal): Promise<Values>
}

export type Act = (args: Args, options: CallOptions) => Promise<Answer & { picture?: Uint8Array }>

/** Operations that are more than commands. */
export function createActs({ link, look }: ActsInit): Readonly<Record<string, Act>> {
  const muteAs =
    (wanted: boolean): Act =>
    async (_, options) => {
      // there is only a key that turns it over
      if ((await look(options.signal)).muted !== wanted)
        await link.run(commandLine('input', 'keyevent', KEYS.volumeMute!), options)
      return {}
    }

  return {
    'sound.mute': muteAs(true),
    'sound.unmute': muteAs(false),
    async 'screen.shot'(_, options) {
      const { out, code } = await link.run('screencap -p', options)
      if (code !== 0 || Buffer.from(out.subarray(1, 4)).toString() !== 'PNG')
        throw new TvFailedError('the TV gave no picture')
      return { picture: out }
    },
    async 'screen.preview'(_, options) {
      const { out, code } = await link.run('screencap', options)
      if (code !== 0) throw new TvFailedError('the TV gave no picture')
      return { picture: previewOf(out) }
    },
    async 'shell.run'({ command }, options) {
      const { out, err, code } = await link.run(String(command), options)
      const text = Buffer.concat([out, err]).toString()
      if (code !== 0) throw new TvFailedError(`exit code ${code}: ${text.trim().slice(0, 300)}`)
      return { out: text.slice(0, MAX_OUT_CHARS) }
    }
  }
}
