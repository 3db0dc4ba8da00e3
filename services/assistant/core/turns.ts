/**
 * Whose turn it is: of those who wait the one who was served longest ago, or never; among these who has waited longest.
 *
 * @param served when each was served last, as a number that grows
 */
export function nextUser(
  waiting: readonly { user: string; created: number }[],
  served: ReadonlyMap<string, number>
): string | undefined {
  const at = (user: string): number => served.get(user) ?? 0
  return [...waiting].sort((a, b) => at(a.user) - at(b.user) || a.created - b.created)[0]?.user
}
