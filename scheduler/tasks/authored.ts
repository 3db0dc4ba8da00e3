/** Fields of specs that hold a function of their author. */
export const AUTHORED: readonly string[] = [
  'fn',
  'map',
  'partial',
  'reduce',
  'key',
  'evaluate',
  'prune',
  'of'
]

/** Fields in which functions are checked text, as their author's text again. */
export const withTexts = (fields: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).map(([field, value]) => [
      field,
      AUTHORED.includes(field) ? ((value as { source?: string } | undefined)?.source ?? value) : value
    ])
  )

/** A spec whose author's functions are their text, as they travel; everything else stays what it is. */
export function asText(spec: unknown, isDeep = false): unknown {
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) return spec
  return Object.fromEntries(
    Object.entries(spec).map(([field, value]) => {
      if (typeof value === 'function' && AUTHORED.includes(field)) return [field, String(value)]
      // of a pipeline
      if (field === 'nodes' && Array.isArray(value))
        return [field, value.map(node => ({ ...node, task: asText(node?.task) }))]
      if (isDeep || field === 'aggregate') return [field, asText(value, true)]
      return [field, value]
    })
  )
}
