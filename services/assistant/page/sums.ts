/** The part of answers for which no provider was asked, 0 to 1. Pure. */
export function savedShare(rows: readonly { calls: number; saved: number }[]): number {
  const saved = rows.reduce((sum, row) => sum + row.saved, 0)
  const all = rows.reduce((sum, row) => sum + row.calls, saved)
  return all === 0 ? 0 : saved / all
}

/** Micro-credits of what somebody typed as credits, with a point or a comma; undefined where it is no amount. Pure. */
export function microOf(text: string): bigint | undefined {
  const [, whole, part = ''] = /^(\d{1,12})(?:[.,](\d{1,6}))?$/.exec(text.trim()) ?? []
  return whole == null ? undefined : BigInt(whole) * 1_000_000n + BigInt(part.padEnd(6, '0'))
}
