import { deepEqual, equal } from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ticket } from '../../../services/messenger/admin/guidance.ts'
import { russian } from '../../../services/messenger/admin/russian.ts'
import { joined, say, textOf } from '../../../services/messenger/admin/said.ts'

const ADMIN = join(import.meta.dirname, '../../../services/messenger/admin')

/** Sentences of the say`…` in a source, those within others too. */
function sentencesIn(source: string): string[] {
  const found: string[] = []
  /** from behind a backtick to the one that ends it */
  function read(from: number, isSaid: boolean): number {
    let sentence = ''
    let values = 0
    let at = from
    while (source[at] !== '`') {
      if (!source.startsWith('${', at)) sentence += source[at++]
      else {
        sentence += `{${values++}}`
        at = skipValue(at + 2)
      }
    }
    if (isSaid) found.push(sentence)
    return at + 1
  }
  function skipValue(from: number): number {
    let at = from
    for (let depth = 1; depth > 0; ) {
      const letter = source[at++]
      if (letter === '{') depth++
      else if (letter === '}') depth--
      else if (letter === '`') at = read(at, source.slice(at - 4, at) === 'say`')
    }
    return at
  }
  for (let at = source.indexOf('`'); at >= 0; at = source.indexOf('`', at))
    at = read(at + 1, source.slice(at - 3, at) === 'say')
  return found
}

describe('messenger: what the administration says', () => {
  it('has every sentence in Russian, with the same values, and no others', async () => {
    const names = (await readdir(ADMIN)).filter(
      name => name.endsWith('.ts') && name !== 'said.ts' && name !== 'russian.ts'
    )
    const sources = await Promise.all(names.map(name => readFile(join(ADMIN, name), 'utf8')))
    const sentences = sources.flatMap(source =>
      sentencesIn(source.replaceAll(/^\s*(\/\*\*|\*|\/\/).*$/gm, ''))
    )
    const inWords = sentences.filter(sentence => /\p{L}/u.test(sentence.replaceAll(/\{\d+\}/g, '')))
    deepEqual([...new Set(inWords)].sort(), Object.keys(russian).sort())
    const valuesIn = (text: string): string[] => (text.match(/\{\d+\}/g) ?? []).sort()
    for (const [sentence, text] of Object.entries(russian))
      deepEqual(valuesIn(text), valuesIn(sentence), sentence)
  })

  it('is said in the language that is asked for, also what stands in another sentence', () => {
    const said = joined(
      [say`${2} of ${3} are damaged: ${'{0} $&'}`, say`there is none`, say`${1}: ${say`whole`}`],
      '; '
    )
    equal(String(said), '2 of 3 are damaged: {0} $&; there is none; 1: whole')
    equal(said.in('ru'), 'повреждены 2 из 3: {0} $&; её нет; 1: цела')
    equal(textOf('as it is', 'ru'), 'as it is')
    const text = ticket('медленно', [{ name: 'quota', state: 'fail', detail: say`all ${3} answer` }], 0).in(
      'ru'
    )
    equal(text.startsWith('Тема: [ПРОБЛЕМА] медленно\n'), true)
    equal(text.includes('\n- quota: fail, отвечают все, их 3\n'), true)
  })
})
