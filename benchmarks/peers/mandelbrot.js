/** Steps until point `p` of a grid of 2000 × 2000 over the Mandelbrot set is known to leave it, at most 500; then the same grid again. */
export function unit(p) {
  const a = ((p % 2000) / 2000) * 3 - 2
  const b = ((Math.floor(p / 2000) % 2000) / 2000) * 3 - 1.5
  let x = 0
  let y = 0
  let steps = 0
  while (steps < 500 && x * x + y * y <= 4) {
    const next = x * x - y * y + a
    y = 2 * x * y + b
    x = next
    steps++
  }
  return steps
}

export default function mandelbrot([from, to]) {
  let sum = 0
  for (let p = from; p <= to; p++) sum += unit(p)
  return sum
}
