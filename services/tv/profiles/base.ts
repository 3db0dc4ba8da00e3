import type { Profile } from './profile.ts'

const ofMusic = (what: string): string => `- STREAM_MUSIC:(?:(?!- STREAM_)[\\s\\S])*?${what}`

/** Android TV from 5 on, as far as models agree. */
export const BASE: Profile = {
  gather: [
    ['dumpsys', 'power'],
    ['dumpsys', 'audio'],
    ['dumpsys', 'media_session'],
    ['dumpsys', 'window'],
    ['dumpsys', 'tv_input'],
    ['cat', '/sys/class/net/eth0/carrier'],
    ['df', '-k', '/storage/emulated'],
    ['cat', '/sys/class/thermal/thermal_zone0/temp'],
    ['cat', '/proc/uptime']
  ],
  readings: {
    power: {
      of: 0,
      match: 'Display Power: state=(\\w+)',
      type: 'text',
      map: { ON: 'on', OFF: 'off', DOZE: 'off' }
    },
    volume: { of: 1, match: ofMusic('streamVolume:\\s*(\\d+)'), type: 'number' },
    muted: { of: 1, match: ofMusic('Muted:\\s*(true|false)'), type: 'boolean' },
    output: { of: 1, match: ofMusic('Devices:\\s*(\\w+)'), type: 'text' },
    playback: {
      of: 2,
      // newer ones write PLAYING(3)
      match: 'PlaybackState \\{state=(?:[A-Z_]+\\()?(\\d+)',
      type: 'text',
      map: { 0: 'none', 1: 'stopped', 2: 'paused', 3: 'playing', 6: 'buffering', 7: 'error' }
    },
    playing: { of: 2, match: 'description=([^,\\n]*)', type: 'text' },
    app: { of: 3, match: 'mCurrentFocus=Window\\{\\S+ \\S+ ([\\w.]+)/', type: 'text' },
    source: { of: 4, match: 'inputId: \\S*/(\\w+)$', type: 'text' },
    ethernet: { of: 5, match: '^([01])$', type: 'boolean', map: { 1: 'true', 0: 'false' } },
    space: { of: 6, match: '^\\S+\\s+\\d+\\s+\\d+\\s+(\\d+)\\s+\\d+%', type: 'number', times: 1024 },
    temperature: { of: 7, match: '^(\\d+)$', type: 'number', times: 0.001 },
    uptime: { of: 8, match: '^([\\d.]+) ', type: 'number' }
  },
  steps: {},
  screen: []
}
