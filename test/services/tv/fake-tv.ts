import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { PNG } from 'pngjs'
import { type RunWords, runShell } from './mini-shell.ts'

const SOURCES: Record<number, string> = { 243: 'HDMI1', 244: 'HDMI2', 245: 'HDMI3', 246: 'HDMI4', 247: 'AV1' }
const LAUNCHER = 'com.android.tv/com.android.tv.MainActivity'
const PLAYER = 'com.artel.player/com.artel.player.PlayerActivity'
const WIDTH = 64
const HEIGHT = 36

export interface FakeTvInit {
  serial?: string
  model?: string
  /** bytes for files */
  room?: number
}

/** An Android TV as its shell shows it: power, sound, sources, playback, apps, settings and files. */
export class FakeTv {
  readonly serial: string
  readonly model: string
  isOn = true
  hasPower = true
  volume = 12
  maxVolume = 15
  isMuted = false
  source = 'HDMI1'
  focus = LAUNCHER
  /** 1 stopped, 2 paused, 3 playing */
  playback = 1
  playing = ''
  position = 0
  hasCarrier = true
  temperature = 41.5
  room: number
  readonly files = new Map<string, Uint8Array>()
  readonly settings = new Map<string, string>()
  readonly properties = new Map<string, string>()
  readonly apps = new Set(['com.android.tv', 'com.artel.player', 'com.example.app'])
  /** words of every command that ran */
  readonly ran: string[][] = []
  /** key codes, in order */
  readonly keys: number[] = []
  readonly typed: string[] = []
  /** what got out of its quotes */
  readonly escapes: string[] = []
  /** what was shown, in order */
  readonly shown: string[] = []
  /** SHA-256 of each file at the moment when it was shown */
  readonly shownHashes: string[] = []
  reboots = 0
  /** commands of this name do nothing and say that all is well */
  readonly deaf = new Set<string>()
  /** each picture has this colour; undefined: by what it shows */
  colour?: readonly [number, number, number]
  private bootedAt = Date.now()

  constructor({ serial = 'TV-1', model = 'Metro 55', room = 64 * 1024 * 1024 }: FakeTvInit = {}) {
    this.serial = serial
    this.model = model
    this.room = room
    this.properties.set('ro.product.model', model)
    this.properties.set('ro.serialno', serial)
    this.properties.set('ro.build.version.release', '11')
    this.properties.set('sys.boot_completed', '1')
  }

  get used(): number {
    return [...this.files.values()].reduce((sum, { length }) => sum + length, 0)
  }

  shell(text: string): { out: Uint8Array; code: number } {
    return runShell(
      text,
      words => {
        this.ran.push(words)
        return this.run(words)
      },
      what => this.escapes.push(what)
    )
  }

  /** As the mains do: nothing plays after it. */
  cutPower(): void {
    this.hasPower = false
  }
  givePower(): void {
    this.hasPower = true
    this.boot()
  }

  private boot(): void {
    this.bootedAt = Date.now()
    this.isOn = true
    this.playback = 1
    this.playing = ''
    this.focus = LAUNCHER
  }

  private readonly run: RunWords = words => {
    const [name, ...args] = words as [string, ...string[]]
    const ok = (out: string | Uint8Array = '') => ({ out, code: 0 })
    const failed = (out: string, code = 1) => ({ out: `${out}\n`, code })
    if (this.deaf.has(name)) return ok()
    switch (name) {
      case 'true':
        return ok()
      case 'echo':
        return ok(`${args.join(' ')}\n`)
      case 'printf':
        return ok(args[0] === '%s' ? (args[1] ?? '') : args[0])
      case 'input':
        return this.input(args) ? ok() : failed('Error: Invalid arguments for command: input')
      case 'dumpsys':
        return ok(this.dump(args[0] ?? ''))
      case 'media':
        return this.media(args) ? ok('[v] will set\n') : failed('usage: media volume')
      case 'am':
        return this.activity(args) ? ok('Starting\n') : failed('Error: Activity not started', 255)
      case 'pm':
        return this.packages(args)
      case 'monkey':
        if (!this.apps.has(args[1] ?? '')) return failed('** No activities found to run, monkey aborted.')
        this.focus = `${args[1]}/${args[1]}.Main`
        return ok('Events injected: 1\n')
      case 'settings':
        return this.setting(args)
      case 'getprop':
        if (args.length > 0) return ok(`${this.properties.get(args[0]!) ?? ''}\n`)
        return ok([...this.properties].map(([key, value]) => `[${key}]: [${value}]\n`).join(''))
      case 'setprop':
        this.properties.set(args[0]!, args[1]!)
        return ok()
      case 'df':
        return ok(
          `Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/fuse ${Math.floor(this.room / 1024)} ${Math.ceil(this.used / 1024)} ${Math.floor((this.room - this.used) / 1024)} 1% /storage/emulated\n`
        )
      case 'cat':
        return this.cat(args[0] ?? '')
      case 'date':
        return ok(args[0] === '+%s' ? `${Math.floor(Date.now() / 1000)}\n` : `${new Date().toISOString()}\n`)
      case 'screencap':
        return ok(args[0] === '-p' ? this.png() : this.raw())
      case 'sha256sum': {
        const file = this.files.get(args[0]!)
        if (file == null) return failed(`sha256sum: ${args[0]}: No such file or directory`)
        return ok(`${sha256Of(file)}  ${args[0]}\n`)
      }
      case 'rm':
        for (const path of args.filter(each => !each.startsWith('-'))) this.files.delete(path)
        return ok()
      case 'mkdir':
        return ok()
      case 'mv': {
        const file = this.files.get(args.at(-2)!)
        if (file == null) return failed(`mv: ${args.at(-2)}: No such file or directory`)
        this.files.delete(args.at(-2)!)
        this.files.set(args.at(-1)!, file)
        return ok()
      }
      case 'ls':
        return ok(
          [...this.files.keys()]
            .filter(path => dirname(path) === args.at(-1)!.replace(/\/$/, ''))
            .map(path => `${path.slice(path.lastIndexOf('/') + 1)}\n`)
            .join('')
        )
      case 'logcat':
        return ok('11-30 12:00:00.000 I/Artel: hello\n')
      case 'reboot':
        this.reboots++
        this.boot()
        return ok()
      case 'svc':
      case 'cmd':
      case 'wm':
      case 'stop':
      case 'start':
      case 'ping':
        return ok()
      default:
        return failed(`/system/bin/sh: ${name}: inaccessible or not found`, 127)
    }
  }

  private input([what, ...args]: string[]): boolean {
    if (what === 'text') {
      this.typed.push(args.join(' '))
      return args.length === 1
    }
    if (what === 'tap' || what === 'swipe') return args.every(each => /^\d+$/.test(each))
    if (what !== 'keyevent') return false
    const codes = args.filter(each => each !== '--longpress').map(Number)
    if (codes.length === 0 || codes.some(code => !Number.isInteger(code))) return false
    for (const code of codes) this.press(code)
    return true
  }

  private press(code: number): void {
    this.keys.push(code)
    if (code === 223) this.isOn = false
    else if (code === 224) this.isOn = true
    else if (code === 26) this.isOn = !this.isOn
    else if (code === 24) this.volume = Math.min(this.maxVolume, this.volume + 1)
    else if (code === 25) this.volume = Math.max(0, this.volume - 1)
    else if (code === 164) this.isMuted = !this.isMuted
    else if (code === 3) this.focus = LAUNCHER
    else if (code === 126 && this.playing !== '') this.playback = 3
    else if (code === 127 && this.playback === 3) this.playback = 2
    else if (code === 85 && this.playing !== '') this.playback = this.playback === 3 ? 2 : 3
    else if (code === 86) this.playback = 1
    else if (SOURCES[code] != null) this.source = SOURCES[code]
  }

  private media(args: string[]): boolean {
    const value = Number(args[args.indexOf('--set') + 1])
    if (args[0] !== 'volume' || !args.includes('--set') || !Number.isInteger(value)) return false
    this.volume = Math.max(0, Math.min(this.maxVolume, value))
    return true
  }

  private activity(args: string[]): boolean {
    const after = (flag: string): string | undefined =>
      args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined
    if (args[0] === 'force-stop') {
      if (this.focus.startsWith(`${args[1]}/`)) {
        this.focus = LAUNCHER
        this.playback = 1
        this.playing = ''
      }
      return true
    }
    if (args[0] === 'broadcast') return true
    if (args[0] !== 'start') return false
    const url = after('-d')
    const component = after('-n')
    if (component != null && !this.apps.has(component.split('/')[0]!)) return false
    if (url != null) {
      const path = url.startsWith('file://') ? decodeURIComponent(url.slice(7)) : undefined
      // as players do: what is not there is a screen that says so
      if (path != null && !this.files.has(path)) return false
      this.focus = component ?? PLAYER
      this.playing = url
      this.playback = 3
      this.position = 0
      this.shown.push(url)
      if (path != null) this.shownHashes.push(sha256Of(this.files.get(path)!))
      return true
    }
    this.focus = component ?? LAUNCHER
    return true
  }

  private packages([what, ...args]: string[]): { out: string; code: number } {
    const name = args.at(-1) ?? ''
    switch (what) {
      case 'list':
        return { out: [...this.apps].map(each => `package:${each}\n`).join(''), code: 0 }
      case 'install': {
        const file = this.files.get(name)
        if (file == null) return { out: 'Failure [INSTALL_FAILED_INVALID_URI]\n', code: 1 }
        this.apps.add(Buffer.from(file).toString())
        return { out: 'Success\n', code: 0 }
      }
      case 'uninstall':
        return this.apps.delete(name)
          ? { out: 'Success\n', code: 0 }
          : { out: 'Failure [not installed]\n', code: 1 }
      case 'clear':
      case 'enable':
      case 'disable-user':
        return this.apps.has(name) ? { out: 'Success\n', code: 0 } : { out: 'Failed\n', code: 1 }
      default:
        return { out: 'usage: pm\n', code: 1 }
    }
  }

  private setting([what, space, key, value]: string[]): { out: string; code: number } {
    const name = `${space}/${key}`
    if (what === 'put') this.settings.set(name, value!)
    if (what === 'delete') this.settings.delete(name)
    return { out: what === 'get' ? `${this.settings.get(name) ?? 'null'}\n` : '', code: 0 }
  }

  private cat(path: string): { out: string; code: number } {
    const system: Record<string, string> = {
      '/proc/uptime': `${((Date.now() - this.bootedAt) / 1000).toFixed(2)} 1.00\n`,
      '/sys/class/net/eth0/carrier': this.hasCarrier ? '1\n' : '0\n',
      '/sys/class/net/eth0/address': '02:00:00:00:00:01\n',
      '/sys/class/thermal/thermal_zone0/temp': `${Math.round(this.temperature * 1000)}\n`
    }
    const file = this.files.get(path)
    if (file != null) return { out: Buffer.from(file).toString(), code: 0 }
    return system[path] == null
      ? { out: `cat: ${path}: No such file or directory\n`, code: 1 }
      : { out: system[path], code: 0 }
  }

  private dump(service: string): string {
    switch (service) {
      case 'power':
        return `POWER MANAGER (dumpsys power)\n\nPower Manager State:\n  mDirty=0x0\n  mWakefulness=${this.isOn ? 'Awake' : 'Asleep'}\n  mIsPowered=true\n\nDisplay Power: state=${this.isOn ? 'ON' : 'OFF'}\n`
      case 'audio':
        return `\nStream volumes (device: index)\n- STREAM_RING:\n   Muted: false\n   streamVolume:5\n- STREAM_MUSIC:\n   Muted: ${this.isMuted}\n   Min: 0\n   Max: ${this.maxVolume}\n   streamVolume:${this.volume}\n   Current: 2 (speaker): ${this.volume}, 400 (hdmi): 5\n   Devices: speaker\n- STREAM_ALARM:\n   Muted: false\n   streamVolume:6\n`
      case 'media_session':
        return this.playing === ''
          ? 'MEDIA SESSION SERVICE (dumpsys media_session)\n\n    Sessions Stack - have 0 sessions:\n'
          : `MEDIA SESSION SERVICE (dumpsys media_session)\n\n    Sessions Stack - have 1 sessions:\n      player com.artel.player/player (userId=0)\n        package=com.artel.player\n        active=true\n        state=PlaybackState {state=${this.playback}, position=${this.position}, buffered position=0, speed=1.0, updated=5, actions=823, custom actions=[], active item id=-1, error=null}\n        metadata: size=1, description=${this.playing}, null, null\n`
      case 'window':
        return `WINDOW MANAGER WINDOWS (dumpsys window windows)\n  mCurrentFocus=Window{8a3c u0 ${this.focus}}\n  mFocusedApp=ActivityRecord{1f u0 ${this.focus} t7}\n`
      case 'tv_input':
        return `TV INPUT MANAGER (dumpsys tv_input)\nUserState (0):\n  sessionStateMap: ITvInputSession -> SessionState\n    isRecordingSession: false\n    inputId: com.example.tvinput/.HdmiInputService/${this.source}\n`
      default:
        return `Can't find service: ${service}\n`
    }
  }

  private pixels(): Buffer {
    const [r, g, b] = this.colour ?? (this.isOn ? colourOf(`${this.source}${this.playing}`) : [0, 0, 0])
    const data = Buffer.alloc(WIDTH * HEIGHT * 4)
    for (let i = 0; i < data.length; i += 4) data.set([r, g, b, 255], i)
    return data
  }

  private png(): Uint8Array {
    const png = new PNG({ width: WIDTH, height: HEIGHT })
    png.data = this.pixels()
    return PNG.sync.write(png)
  }

  /** As Android 9 and later: width, height, format, colour space, then RGBA. */
  private raw(): Uint8Array {
    const header = Buffer.alloc(16)
    header.writeUInt32LE(WIDTH, 0)
    header.writeUInt32LE(HEIGHT, 4)
    header.writeUInt32LE(1, 8)
    return Buffer.concat([header, this.pixels()])
  }
}

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const colourOf = (text: string): [number, number, number] => {
  const digest = createHash('sha256').update(text).digest()
  return [digest[0]!, digest[1]!, digest[2]!]
}
