import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { BrowserError } from '../errors.ts'
import { type RelayInit, relay } from './relay.ts'

const BWRAP = ['/usr/bin/bwrap', '/bin/bwrap', '/usr/local/bin/bwrap']
const PORT = 1080
/** of the memory that a page can make grow; Chromium without one takes a fifth of it */
export const MAX_MEMORY_BYTES = 600_000_000
/** exit code of who takes more */
export const TOO_LARGE = 77
const DEBIAN_FLAGS = '/etc/chromium.d/README'
const GATE = '/run/gate'
const NODE = '/run/node'
const PROFILE_BYTES = 200_000_000

/** With these it would ask somebody of its own accord, or something else than it was told. */
const UNWANTED = [
  'AimEnabled',
  'AutofillServerCommunication',
  'CertificateTransparencyComponentUpdater',
  'DialMediaRouteProvider',
  'HttpsFirstBalancedModeAutoEnable',
  'HttpsUpgrades',
  'MediaRouter',
  'NetworkTimeServiceQuerying',
  'OptimizationHints',
  'PreconnectToSearch',
  'Translate'
]

/** It speaks to nobody but those whose pages are opened, and to them through the gate alone. */
const FLAGS = [
  '--headless',
  '--remote-debugging-pipe',
  '--no-startup-window',
  '--user-data-dir=/tmp/profile',
  `--proxy-server=socks5://127.0.0.1:${PORT}`,
  // loopback goes through the proxy too
  '--proxy-bypass-list=<-loopback>',
  '--disable-quic',
  '--webrtc-ip-handling-policy=disable_non_proxied_udp',
  '--block-new-web-contents',
  '--disable-gpu',
  '--mute-audio',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-breakpad',
  '--disable-client-side-phishing-detection',
  '--disable-component-extensions-with-background-pages',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--disable-extensions',
  '--disable-sync',
  '--metrics-recording-only',
  '--no-pings',
  '--password-store=basic',
  // where it would ask for newer parts of itself, whatever the flag above says
  '--component-updater=url-source=http://127.0.0.1/',
  `--disable-features=${UNWANTED.join()}`,
  '--enable-features=SkipListAccountsWithoutGaiaCookies'
]

/**
 * The command that starts Chromium where it sees the programs of this machine, memory of its own, and no network but the
 * gate. Its own sandbox stands inside, also where this node runs as root.
 *
 * @param chromium absolute path below /usr
 * @param gate socket in the file system
 * @throws {BrowserError} what is missing, and how to get it
 */
export function walledBrowser(chromium: string, gate: string): [program: string, args: string[]] {
  const bwrap = BWRAP.find(isProgram)
  if (bwrap == null) throw new BrowserError('bwrap is missing: apt-get install bubblewrap')
  if (!chromium.startsWith('/usr/') || !isProgram(chromium))
    throw new BrowserError(`${chromium} is no program below /usr: apt-get install chromium`)
  const init: RelayInit = {
    program: chromium,
    args: FLAGS,
    gate: GATE,
    port: PORT,
    maxBytes: MAX_MEMORY_BYTES,
    tooLarge: TOO_LARGE
  }
  const merged = ['bin', 'lib', 'lib64', 'sbin'].flatMap(name => ['--symlink', join('usr', name), `/${name}`])
  const read = ['/etc/fonts', '/etc/ssl/certs'].flatMap(path => ['--ro-bind-try', path, path])
  return [
    bwrap,
    [
      '--unshare-all',
      '--unshare-user',
      '--die-with-parent',
      '--new-session',
      ...['--uid', '1000', '--gid', '1000'],
      ...['--cap-drop', 'ALL'],
      '--clearenv',
      ...['--setenv', 'PATH', '/usr/bin:/bin', '--setenv', 'HOME', '/tmp'],
      ...['--ro-bind', '/usr', '/usr', ...merged, ...read],
      // Debian's script takes flags from the other files of this folder, which would have it ask for extensions
      ...['--ro-bind-try', DEBIAN_FLAGS, DEBIAN_FLAGS],
      ...['--proc', '/proc', '--dev', '/dev'],
      ...['--size', String(PROFILE_BYTES), '--tmpfs', '/dev/shm'],
      ...['--size', String(PROFILE_BYTES), '--tmpfs', '/tmp'],
      ...['--ro-bind', process.execPath, NODE, '--ro-bind', gate, GATE],
      ...['--remount-ro', '/'],
      ...['--chdir', '/tmp'],
      NODE,
      '-e',
      `"use strict";(${relay})(require,${JSON.stringify(init)})`
    ]
  ]
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
