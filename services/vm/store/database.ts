import { DatabaseError } from '../errors.ts'

export type Value = string | number | null
export type Row = Record<string, Value>

/** Places of so many values in a statement: `$1, $2, …` */
export const list = (values: readonly unknown[]) => values.map((_, i) => `$${i + 1}`).join(', ')

export interface Queries {
  /** One statement with parameters $1, $2, …; its rows. */
  query<T extends Row = Row>(sql: string, ...values: Value[]): Promise<T[]>
}

/** The one face of PostgreSQL and SQLite: the same statements run on both. */
export interface Database extends Queries {
  readonly kind: 'postgresql' | 'sqlite'
  /** Statements that need not wait for each other, over one connection: on their way together. */
  together<T>(work: (queries: Queries) => Promise<T>): Promise<T>
  /** For statements that stand each for itself: those that come at once share one commit. */
  readonly joint: Queries
  /** All or nothing. Transactions that would run beside each other behave as if one came after the other. */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** Told what a database says when it fails. */
export type OnFault = (cause: Error) => void

/** Callers read that the database failed, never its words: those may show tables, paths and values. */
export function failed(cause: unknown, onFault: OnFault): DatabaseError {
  onFault(cause as Error)
  return new DatabaseError(
    'the database of the machines does not answer as it should; its host finds why in the log',
    { cause }
  )
}
