/** What else a text says that names somebody as `@name`; undefined where it does not. Pure. */
export function withoutMention(text: string, names: readonly string[]): string | undefined {
  const any = names
    .toSorted((a, b) => b.length - a.length)
    .map(name => RegExp.escape(name))
    .join('|')
  // no address of e-mail, and no longer name
  const mention = new RegExp(
    String.raw`(?<![\p{L}\p{N}_.@])@(?:${any})(?![\p{L}\p{N}_@]|[.-][\p{L}\p{N}])[,:]?`,
    'giu'
  )
  return mention.test(text)
    ? text
        .replace(mention, ' ')
        .replace(/[^\S\n]+/g, ' ')
        .trim()
    : undefined
}
