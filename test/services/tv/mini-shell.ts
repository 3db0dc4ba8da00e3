/** What runs a command of a TV: its words, and what it answers. */
export type RunWords = (words: string[]) => { out: string | Uint8Array; code: number }

/** One simple command, and whether it runs: always, if the one before succeeded, or if it failed. */
interface Part {
  words: string[]
  when: ';' | '&&' | '||'
}

/**
 * As much of a POSIX shell as a TV is asked for: words, three kinds of quotes, `;`, newlines, `&&`, `||`, and `$?`.
 * What begins something else outside of quotes (`$(`, a backtick, `|`, `&`, `<`, `>`) is told to `onEscape`: with
 * arguments that are quoted it never happens.
 */
export function runShell(
  text: string,
  run: RunWords,
  onEscape: (what: string) => void
): { out: Uint8Array; code: number } {
  const out: Uint8Array[] = []
  let code = 0
  for (const { words, when } of split(text, onEscape)) {
    if ((when === '&&' && code !== 0) || (when === '||' && code === 0)) continue
    const result = run(words.map(word => word.replaceAll('\u0000?', String(code))))
    out.push(typeof result.out === 'string' ? Buffer.from(result.out) : result.out)
    code = result.code
  }
  return { out: Buffer.concat(out), code }
}

function split(text: string, onEscape: (what: string) => void): Part[] {
  const parts: Part[] = []
  let words: string[] = []
  let word: string | undefined
  let when: Part['when'] = ';'
  const endWord = (): void => {
    if (word != null) words.push(word)
    word = undefined
  }
  const endPart = (next: Part['when']): void => {
    endWord()
    if (words.length > 0) parts.push({ words, when })
    words = []
    when = next
  }
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (c === "'") {
      const end = text.indexOf("'", i + 1)
      if (end < 0) throw new Error('a quote that does not end')
      word = (word ?? '') + text.slice(i + 1, end)
      i = end
    } else if (c === '"') {
      word ??= ''
      for (i++; text[i] !== '"'; i++) {
        if (i >= text.length) throw new Error('a quote that does not end')
        if (text[i] === '\\' && '$`"\\'.includes(text[i + 1] ?? '')) word += text[++i]
        else if (text.startsWith('$?', i)) word += `\u0000${text[++i]}`
        else {
          if (text[i] === '`' || (text[i] === '$' && /[({\w]/.test(text[i + 1] ?? '')))
            onEscape(text.slice(i))
          word += text[i]
        }
      }
    } else if (c === '\\') word = (word ?? '') + (text[++i] ?? '')
    else if (c === ';' || c === '\n') endPart(';')
    else if (text.startsWith('&&', i) || text.startsWith('||', i)) {
      endPart(text.slice(i, i + 2) as '&&')
      i++
    } else if (text.startsWith('$?', i)) {
      word = `${word ?? ''}\u0000?`
      i++
    } else if ('`|&<>$*(){}#~!'.includes(c)) {
      onEscape(text.slice(i))
      word = (word ?? '') + c
    } else if (c === ' ' || c === '\t') endWord()
    else word = (word ?? '') + c
  }
  endPart(';')
  return parts
}
