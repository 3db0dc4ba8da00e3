import { useElementSize } from '@mantine/hooks'
import { useMemo } from 'react'
import type { PeerRow } from '../api/wire.ts'
import { shortId } from '../format.ts'
import { useTexts } from '../i18n/i18n.tsx'

/** As wide as the place it has, within these: its texts keep their size on a phone. */
const MIN_WIDTH = 350
const MAX_WIDTH = 560
/** room for names beside the outermost peers */
const MARGIN = 62
const HEIGHT = 330
const MIDDLE = HEIGHT / 2
const INNER = 58
const OUTER = 142
/** ms at the inner and the outer edge; between them a tenfold is a ring */
const NEAR_MS = 0.5
const FAR_MS = 500
const RINGS_MS = [1, 10, 100]
/** More names than this cover each other. */
const MAX_NAMED = 14

const radius = (ms: number): number => {
  const share = Math.log(Math.max(ms, NEAR_MS) / NEAR_MS) / Math.log(FAR_MS / NEAR_MS)
  return INNER + Math.min(1, share) * (OUTER - INNER)
}

export interface Place {
  peer: PeerRow
  x: number
  y: number
}

/** The map is wider than high. */
const stretchOf = (width: number): number => (width / 2 - MARGIN) / OUTER

/** Peers around this node: the further, the slower; evenly around it, each at its place as long as the set stays. */
export function placePeers(peers: readonly PeerRow[], width: number): Place[] {
  const stretch = stretchOf(width)
  const sorted = peers.toSorted((a, b) => (a.peer < b.peer ? -1 : 1))
  return sorted.map((peer, index) => {
    const angle = (index / sorted.length) * 2 * Math.PI - Math.PI / 3
    const far = radius(peer.rttMs ?? FAR_MS)
    return { peer, x: width / 2 + Math.cos(angle) * far * stretch, y: MIDDLE + Math.sin(angle) * far }
  })
}

export function NetworkMap({ peers }: { peers: readonly PeerRow[] }) {
  const { t, format } = useTexts()
  const { ref, width: place } = useElementSize<HTMLDivElement>()
  const width = Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, place))
  const centre = width / 2
  const places = useMemo(() => placePeers(peers, width), [peers, width])
  const workers = peers.filter(({ worker }) => worker != null).length
  return (
    <div ref={ref}>
      <svg
        viewBox={`0 0 ${width} ${HEIGHT}`}
        role="img"
        aria-label={t('map.label', { peers: peers.length, workers })}
        style={{ width: '100%', height: 'auto', maxHeight: '28rem', display: 'block' }}
        fontFamily="inherit"
      >
        {RINGS_MS.map(ms => (
          <g key={ms}>
            <ellipse
              cx={centre}
              cy={MIDDLE}
              rx={radius(ms) * stretchOf(width)}
              ry={radius(ms)}
              fill="none"
              stroke="var(--artel-line)"
              strokeDasharray="3 5"
              strokeWidth="1.25"
            />
            <text
              x={centre}
              y={MIDDLE - radius(ms) - 4}
              textAnchor="middle"
              fontSize="12"
              fill="var(--mantine-color-dimmed)"
            >
              {format.latency(ms)}
            </text>
          </g>
        ))}
        {places.map(({ peer, x, y }) => (
          <line
            key={peer.peer}
            x1={centre}
            y1={MIDDLE}
            x2={x}
            y2={y}
            stroke={peer.worker == null ? 'var(--artel-line)' : 'var(--artel-accent)'}
            strokeOpacity={peer.worker == null ? 1 : 0.45}
            strokeWidth={(peer.worker?.leased ?? 0) > 0 ? 2.5 : 1.25}
          />
        ))}
        <circle cx={centre} cy={MIDDLE} r="21" fill="var(--artel-accent)" fillOpacity="0.18" />
        <circle cx={centre} cy={MIDDLE} r="13" fill="var(--artel-accent)" />
        <text
          x={centre}
          y={MIDDLE + 37}
          textAnchor="middle"
          fontSize="13"
          fontWeight="600"
          fill="var(--mantine-color-text)"
        >
          {t('state.thisNode')}
        </text>
        {places.map(({ peer, x, y }) => (
          <Peer key={peer.peer} peer={peer} x={x} y={y} isNamed={places.length <= MAX_NAMED} />
        ))}
      </svg>
    </div>
  )
}

function Peer({ peer: { peer, rttMs, worker }, x, y, isNamed }: Place & { isNamed: boolean }) {
  const { t, format } = useTexts()
  const isBusy = (worker?.leased ?? 0) > 0
  const latency = rttMs == null ? '' : format.latency(rttMs)
  return (
    <g>
      <title>
        {`${peer} · ${worker == null ? t('peer.peer') : t('peer.worker')}${latency === '' ? '' : ` · ${latency}`}`}
      </title>
      {isBusy && <circle cx={x} cy={y} r="9" fill="var(--artel-accent)" className="pulse" />}
      <circle
        cx={x}
        cy={y}
        r={worker == null ? 6 : 9}
        fill={worker == null ? 'var(--artel-card)' : 'var(--artel-accent)'}
        stroke={worker == null ? 'var(--mantine-color-dimmed)' : 'var(--artel-card)'}
        strokeWidth="2"
      />
      {isNamed && (
        <text x={x} y={y + 23} textAnchor="middle" fontSize="12" fill="var(--mantine-color-text)">
          {shortId(peer)}
          {latency !== '' && <tspan fill="var(--mantine-color-dimmed)">{` ${latency}`}</tspan>}
        </text>
      )}
    </g>
  )
}
