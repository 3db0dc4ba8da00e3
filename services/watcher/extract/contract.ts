/** Where something stands in a page: by exactly one of the four, and `regex` also after another one. */
export interface Selector {
  css?: string
  xpath?: string
  /** JSON path: `$.cases[*]`, `court.name`, `parties[0]['full name']` */
  path?: string
  /** of the text; the first group, or the whole match */
  regex?: string
}

export interface FieldSelector extends Selector {
  /** this attribute instead of the text */
  attribute?: string
  /** what is made of it: white space collapsed (default), small letters too, or the first number in it */
  as?: 'text' | 'lower' | 'number'
}

/** How a page becomes items. */
export interface Extraction {
  type: 'html' | 'xml' | 'json' | 'text'
  rows: Selector
  fields: Readonly<Record<string, FieldSelector>>
}

export type Fields = Readonly<Record<string, string>>

/** A form as it would be sent. */
export interface Form {
  /** as it stands there; may be relative or empty */
  action: string
  method: 'GET' | 'POST'
  fields: readonly (readonly [string, string])[]
}

/** What the program behind the walls is asked. */
export type Question =
  | { ask: 'items'; text: string; extraction: Extraction }
  | { ask: 'form'; text: string; form: string }
