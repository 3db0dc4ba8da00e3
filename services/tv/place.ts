import { isIPv4 } from 'node:net'

/** A TV as its owner names it in the settings. */
export interface TvPlace {
  name: string
  host: string
  /** undefined: that of wireless debugging, which it says itself */
  port?: number
  /** what selectors look at */
  tags: Readonly<Record<string, string>>
}

const PLACE =
  /^([\w.-]{1,40}) ([\w.-]{1,100}|\[[\da-f:.]{2,45}\]):(\d{1,5}|wireless)((?: [a-z][\w-]{0,31}=\S{1,100}){0,16})$/i

/** `tv-1 192.168.10.2:5555 line=2 station=Arbat`, or `:wireless` for the port; undefined: it is none. */
export function placeOf(text: string): TvPlace | undefined {
  const [, name, host, port, rest = ''] = PLACE.exec(text) ?? []
  if (name == null || host == null || Number(port) < 1 || Number(port) > 65_535) return undefined
  const isSet = port !== 'wireless'
  // who says its port is known by its address
  if (!isSet && !isIPv4(host)) return undefined
  return {
    name,
    host: host.replace(/^\[|\]$/g, ''),
    ...(isSet && { port: Number(port) }),
    tags: Object.fromEntries(
      rest
        .split(' ')
        .filter(Boolean)
        .map(each => each.split(/=(.*)/s, 2))
    )
  }
}

/** The relay in front of a TV, as its owner names it in the settings. */
export interface RelayPlace {
  tv: string
  chip: string
  line: number
  isActiveLow: boolean
}

const RELAY = /^([\w.-]{1,40}) ([\w.-]{1,40}):(\d{1,4})( active-low)?$/

/** `tv-1 gpiochip0:17 active-low`; undefined: it is none. */
export function relayOf(text: string): RelayPlace | undefined {
  const [, tv, chip, line, low] = RELAY.exec(text) ?? []
  if (tv == null || chip == null) return undefined
  return { tv, chip, line: Number(line), isActiveLow: low != null }
}
