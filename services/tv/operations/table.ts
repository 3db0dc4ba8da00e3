import { z } from 'zod'
import type { Verb } from '../grants.ts'
import { MIN_OFF_SECONDS } from '../relay.ts'
import type { Step, TvOperation } from './contract.ts'
import { KEYS } from './keys.ts'

const none = z.strictObject({})
const MINUTE_MS = 60_000

const app = z
  .string()
  .regex(/^[A-Za-z][\w]*(\.[A-Za-z][\w]*)+$/)
  .max(200)
  .describe('package, as com.example.app')
const path = z.string().startsWith('/').max(500).describe('of a file of the TV')
const text = z.string().min(1).max(500)
const url = z.url().max(2000)
const percent = z.int().min(0).max(100)
const word = z
  .string()
  .regex(/^[\w.:-]{1,100}$/)
  .describe('letters, digits, and . _ : -')

type Rest = Partial<Omit<TvOperation, 'name' | 'summary'>>
const entry = (
  name: string,
  summary: string,
  steps: readonly Step[] | undefined,
  rest: Rest = {}
): TvOperation => ({
  name,
  summary,
  args: none,
  risk: 1,
  verb: 'control',
  ...(steps == null ? {} : { steps }),
  ...rest
})
const look = (
  name: string,
  summary: string,
  steps: readonly Step[] | undefined,
  rest: Rest = {}
): TvOperation => entry(name, summary, steps, { risk: 0, verb: 'read', ...rest })
const key = (code: number): Step => ['input', 'keyevent', String(code)]

/** Keys that switch something else than what is on the screen. */
const POWER_KEYS = ['power', 'sleep', 'wakeUp', 'tvPower', 'stbPower', 'avrPower', 'softSleep']

const keys = Object.entries(KEYS).map(([name, code]) => {
  const isPower = POWER_KEYS.includes(name)
  return entry(`key.${name}`, `Press ${name} (${code})`, [key(code)], {
    risk: isPower ? 2 : 1,
    verb: isPower ? 'power' : 'control'
  })
})

const source = (name: string, code: number): TvOperation =>
  entry(`source.${name.toLowerCase()}`, `Show ${name}`, [key(code)], {
    check: { reading: 'source', is: name }
  })
const startsApp = (verb: Verb = 'control'): Rest => ({ args: z.strictObject({ app }), verb })
const VIEW = ['am', 'start', '-W', '-a', 'android.intent.action.VIEW'] as const

/** Everything that can be done with a TV. */
export const OPERATIONS: readonly TvOperation[] = [
  ...keys,
  entry('key.press', 'Press a key by its number', [['input', 'keyevent', '{code}']], {
    args: z.strictObject({ code: z.int().min(1).max(400) }),
    verb: 'power',
    risk: 2
  }),
  entry('key.hold', 'Hold a key by its number', [['input', 'keyevent', '--longpress', '{code}']], {
    args: z.strictObject({ code: z.int().min(1).max(400) }),
    verb: 'power',
    risk: 2
  }),
  entry('key.text', 'Type a text', [['input', 'text', '{text}']], { args: z.strictObject({ text }) }),
  entry('key.tap', 'Touch a place of the screen', [['input', 'tap', '{x}', '{y}']], {
    args: z.strictObject({ x: z.int().min(0).max(8000), y: z.int().min(0).max(8000) })
  }),
  entry('key.sequence', 'Press keys one after the other by their numbers', undefined, {
    args: z.strictObject({
      codes: z
        .string()
        .regex(/^\d{1,3}(,\d{1,3}){0,49}$/)
        .describe('as 3,20,20,66')
    }),
    verb: 'power',
    risk: 2
  }),

  entry('power.standby', 'Screen off; the TV stays reachable', [key(KEYS.sleep!)], {
    risk: 2,
    verb: 'power',
    check: { reading: 'power', is: 'off' }
  }),
  entry('power.wake', 'Screen on', [key(KEYS.wakeUp!)], {
    verb: 'power',
    check: { reading: 'power', is: 'on' }
  }),
  look('power.state', 'Whether its screen is on, and what its relay lets through', undefined, {
    reads: ['power', 'relay']
  }),
  entry('power.off', 'Cut its power by the relay; it comes back by itself', undefined, {
    args: z.strictObject({
      seconds: z.int().min(MIN_OFF_SECONDS).max(86_400).default(3600).describe('until it comes back')
    }),
    risk: 2,
    verb: 'power'
  }),
  entry('power.on', 'Let the power through again', undefined, { verb: 'power', deadlineMs: MINUTE_MS }),
  entry('power.cycle', 'Cut its power for 10 s, and wait until it answers again', undefined, {
    risk: 2,
    verb: 'power',
    deadlineMs: 5 * MINUTE_MS
  }),
  entry('power.stayOn', 'Never sleep by itself while it has power', [['svc', 'power', 'stayon', 'true']]),
  entry('power.maySleep', 'Sleep by itself as set', [['svc', 'power', 'stayon', 'false']]),

  source('HDMI1', KEYS.hdmi1!),
  source('HDMI2', KEYS.hdmi2!),
  source('HDMI3', KEYS.hdmi3!),
  source('HDMI4', KEYS.hdmi4!),
  source('AV1', KEYS.composite1!),
  entry('source.next', 'The next source', [key(KEYS.input!)]),
  look('source.current', 'Which source it shows', undefined, { reads: ['source', 'app'] }),

  entry('sound.volume', 'Set the volume', [['media', 'volume', '--stream', '3', '--set', '{level}']], {
    args: z.strictObject({ level: percent.describe('in steps of the TV, as sound.state says') }),
    check: { reading: 'volume', is: '{level}' }
  }),
  entry('sound.up', 'One step louder', [key(KEYS.volumeUp!)]),
  entry('sound.down', 'One step quieter', [key(KEYS.volumeDown!)]),
  entry('sound.toggleMute', 'Mute, or no longer', [key(KEYS.volumeMute!)]),
  entry('sound.mute', 'No sound', undefined, { check: { reading: 'muted', is: 'true' } }),
  entry('sound.unmute', 'Sound again', undefined, { check: { reading: 'muted', is: 'false' } }),
  look('sound.state', 'Volume and where it sounds', undefined, { reads: ['volume', 'muted', 'output'] }),

  entry('play.play', 'Go on', [key(KEYS.play!)], { check: { reading: 'playback', is: 'playing' } }),
  entry('play.pause', 'Pause', [key(KEYS.pause!)], { check: { reading: 'playback', is: 'paused' } }),
  entry('play.toggle', 'Go on or pause', [key(KEYS.playPause!)]),
  entry('play.stop', 'Stop', [key(KEYS.stop!)], { check: { reading: 'playback', is: 'stopped' } }),
  entry('play.next', 'The next one', [key(KEYS.next!)]),
  entry('play.previous', 'The one before', [key(KEYS.previous!)]),
  entry('play.rewind', 'Back', [key(KEYS.rewind!)]),
  entry('play.fastForward', 'Forward', [key(KEYS.fastForward!)]),
  entry('play.url', 'Show an address', [[...VIEW, '-d', '{url}']], { args: z.strictObject({ url }) }),
  entry('play.video', 'Show a video by its address', [[...VIEW, '-t', 'video/*', '-d', '{url}']], {
    args: z.strictObject({ url }),
    check: { reading: 'playback', is: 'playing' }
  }),
  entry('play.file', 'Show a video that is on the TV', [[...VIEW, '-t', 'video/*', '-d', 'file://{path}']], {
    args: z.strictObject({
      path: z
        .string()
        .regex(/^\/[\w./-]{1,300}$/)
        .describe('of a file of the TV')
    }),
    check: { reading: 'playback', is: 'playing' }
  }),
  look('play.state', 'What it plays', undefined, { reads: ['playback', 'playing', 'app'] }),

  look('screen.shot', 'A picture of the screen, PNG', undefined, { deadlineMs: 30_000 }),
  look('screen.preview', 'A small picture of the screen, PNG', undefined, {
    args: z.strictObject({
      age: z
        .number()
        .min(0)
        .max(60)
        .default(0)
        .describe('seconds: one that old will do, made for somebody else')
    }),
    deadlineMs: 30_000
  }),
  look('screen.size', 'Size of the screen', [['wm', 'size']]),
  look('screen.density', 'Density of the screen', [['wm', 'density']]),
  look('screen.brightnessNow', 'Brightness', [['settings', 'get', 'system', 'screen_brightness']]),
  entry(
    'screen.brightness',
    'Set the brightness',
    [['settings', 'put', 'system', 'screen_brightness', '{level}']],
    {
      args: z.strictObject({ level: z.int().min(0).max(255) })
    }
  ),
  entry('screen.saverOff', 'No screen saver', [['settings', 'put', 'secure', 'screensaver_enabled', '0']]),
  entry('screen.saverOn', 'Screen saver as set', [['settings', 'put', 'secure', 'screensaver_enabled', '1']]),
  entry(
    'screen.timeout',
    'Seconds until the screen goes off',
    [['settings', 'put', 'system', 'screen_off_timeout', '{seconds}000']],
    { args: z.strictObject({ seconds: z.int().min(15).max(86_400) }) }
  ),

  look('apps.list', 'Apps that are installed', [['pm', 'list', 'packages']]),
  look('apps.own', 'Apps that did not come with it', [['pm', 'list', 'packages', '-3']]),
  look('apps.current', 'Which app is in front', undefined, { reads: ['app'] }),
  look('apps.info', 'What the TV knows of an app', [['dumpsys', 'package', '{app}']], startsApp('read')),
  entry('apps.start', 'Open an app', [['monkey', '-p', '{app}', '1']], {
    ...startsApp(),
    check: { reading: 'app', is: '{app}' }
  }),
  entry('apps.stop', 'End an app', [['am', 'force-stop', '{app}']], startsApp()),
  entry('apps.activity', 'Open one screen of an app', [['am', 'start', '-n', '{component}']], {
    args: z.strictObject({ component: z.string().regex(/^[\w.]{1,100}\/[\w.]{1,100}$/) })
  }),
  entry('apps.broadcast', 'Tell apps of an event', [['am', 'broadcast', '-a', '{action}']], {
    args: z.strictObject({ action: word }),
    verb: 'apps'
  }),
  entry('apps.install', 'Install a package that is on the TV', undefined, {
    args: z.strictObject({ path }),
    risk: 2,
    verb: 'apps',
    deadlineMs: 5 * MINUTE_MS
  }),
  entry('apps.update', 'Install a package of the network, by its CID', undefined, {
    args: z.strictObject({ cid: z.string().min(40).max(100) }),
    risk: 2,
    verb: 'apps',
    deadlineMs: 10 * MINUTE_MS
  }),
  entry('apps.remove', 'Remove an app and its data', [['pm', 'uninstall', '{app}']], {
    ...startsApp('apps'),
    risk: 2,
    deadlineMs: MINUTE_MS
  }),
  entry('apps.clear', "Forget an app's data", [['pm', 'clear', '{app}']], { ...startsApp('apps'), risk: 2 }),
  entry('apps.enable', 'Allow an app', [['pm', 'enable', '{app}']], startsApp('apps')),
  entry('apps.disable', 'Forbid an app', [['pm', 'disable-user', '{app}']], {
    ...startsApp('apps'),
    risk: 2
  }),

  look('files.list', 'Files of a folder', [['ls', '{path}']], {
    args: z.strictObject({ path }),
    verb: 'files'
  }),
  look('files.hash', 'SHA-256 of a file', [['sha256sum', '{path}']], {
    args: z.strictObject({ path }),
    verb: 'files',
    deadlineMs: MINUTE_MS
  }),
  look('files.read', 'The text of a small file', [['cat', '{path}']], {
    args: z.strictObject({ path }),
    verb: 'files'
  }),
  entry('files.folder', 'Make a folder', [['mkdir', '-p', '{path}']], {
    args: z.strictObject({ path }),
    verb: 'files'
  }),
  entry('files.remove', 'Remove a file', [['rm', '-f', '{path}']], {
    args: z.strictObject({ path }),
    risk: 2,
    verb: 'files'
  }),
  entry('files.push', 'Write a file of the network to the TV, by its CID', undefined, {
    args: z.strictObject({ cid: z.string().min(40).max(100), path }),
    verb: 'files',
    deadlineMs: 10 * MINUTE_MS
  }),
  look('files.space', 'Room that is left', undefined, { reads: ['space'] }),

  look('system.state', 'Everything that is measured', undefined, { reads: ['*'] }),
  look('system.properties', 'All properties', [['getprop']]),
  look('system.property', 'One property', [['getprop', '{name}']], { args: z.strictObject({ name: word }) }),
  look('system.time', "The TV's clock, seconds since 1970", [['date', '+%s']]),
  look('system.uptime', 'Seconds since it started', undefined, { reads: ['uptime'] }),
  look('system.temperature', 'Temperature', undefined, { reads: ['temperature'] }),
  look('system.ethernet', 'Whether its cable is in', undefined, { reads: ['ethernet'] }),
  look('system.mac', 'Address of its network card', [['cat', '/sys/class/net/eth0/address']]),
  look('system.memory', 'Memory', [['cat', '/proc/meminfo']]),
  look('system.processes', 'What runs', [['ps', '-A']]),
  look('system.log', 'The newest lines of its log', [['logcat', '-d', '-t', '{lines}']], {
    args: z.strictObject({ lines: z.int().min(1).max(2000) }),
    verb: 'system'
  }),
  look('system.setting', 'One setting', [['settings', 'get', '{space}', '{name}']], {
    args: z.strictObject({ space: z.enum(['system', 'secure', 'global']), name: word })
  }),
  entry('system.set', 'Change a setting', [['settings', 'put', '{space}', '{name}', '{value}']], {
    args: z.strictObject({ space: z.enum(['system', 'secure', 'global']), name: word, value: text }),
    risk: 2,
    verb: 'system'
  }),
  entry('system.reboot', 'Start it again', [['reboot']], { risk: 2, verb: 'power', deadlineMs: MINUTE_MS }),
  entry('system.zone', 'Set the time zone', [['setprop', 'persist.sys.timezone', '{zone}']], {
    args: z.strictObject({ zone: z.string().regex(/^[\w/+-]{1,50}$/) }),
    verb: 'system'
  }),
  entry('system.ping', 'Whether it reaches a host', [['ping', '-c', '1', '-W', '2', '{host}']], {
    args: z.strictObject({ host: word }),
    risk: 0,
    verb: 'system'
  }),

  entry('player.restart', 'End the player', [['am', 'force-stop', 'com.artel.player']], { risk: 2 }),
  entry('shell.run', 'Run any command', undefined, {
    args: z.strictObject({ command: z.string().min(1).max(4000) }),
    risk: 3,
    verb: 'shell',
    deadlineMs: MINUTE_MS
  })
]

const BY_NAME = new Map(OPERATIONS.map(each => [each.name, each]))

export const operationNamed = (name: string): TvOperation | undefined => BY_NAME.get(name)
