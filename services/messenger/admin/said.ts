import { russian } from './russian.ts'

/* What the administration says: in English wherever it becomes a text by itself, in the language of who asks at the edge. */

export type Language = 'en' | 'ru'
type Value = string | number | Said

const filled = (text: string, values: readonly string[]): string =>
  text.replaceAll(/\{(\d+)\}/g, (_, at: string) => values[Number(at)] ?? '')

/** A sentence and what stands in it. */
export class Said {
  /** the sentence with places for the values, as in `{0} of {1}` */
  readonly sentence: string
  readonly #values: readonly Value[]

  constructor(sentence: string, values: readonly Value[]) {
    this.sentence = sentence
    this.#values = values
  }

  in(language: Language): string {
    const known = language === 'ru' ? russian[this.sentence] : undefined
    return filled(
      known ?? this.sentence,
      this.#values.map(value => textOf(value, language))
    )
  }
  toString(): string {
    return this.in('en')
  }
}

/** say`${n} of ${all} do not answer` */
export const say = (parts: readonly string[], ...values: Value[]): Said =>
  new Said(
    parts.reduce((sentence, part, at) => `${sentence}{${at - 1}}${part}`),
    values
  )

/** One after the other, with this between them. */
export const joined = (values: readonly Value[], between: string): Said =>
  new Said(values.map((_, at) => `{${at}}`).join(between), values)

export const textOf = (value: Value, language: Language): string =>
  value instanceof Said ? value.in(language) : String(value)
