import { renderSVG } from 'uqr'

/** A text for the camera of a telephone. */
export function Qr({ text, label }: { text: string; label: string }) {
  const svg = renderSVG(text, { border: 2, ecc: 'M' })
  return <img className="qr" alt={label} src={`data:image/svg+xml,${encodeURIComponent(svg)}`} />
}
