import { existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { z } from 'zod'
import { DatabaseError } from '../errors.ts'

const schema = z.object({
  DB_HOST: z.string().min(1),
  DB_PORT: z.coerce.number().int().min(1).max(65_535).default(5432),
  DB_USER: z.string().min(1),
  DB_PASSWORD: z.string().default(''),
  DB_NAME: z.string().min(1)
})

export interface PostgresSettings {
  host: string
  port: number
  user: string
  password: string
  database: string
}

/**
 * Where the PostgreSQL server is, from the environment and else from `.env` of the working folder. Undefined where
 * DB_HOST is nowhere: then the embedded database is used.
 * @throws DatabaseError where DB_HOST is there and the rest is not whole
 */
export function postgresSettings(
  environment: Record<string, string | undefined> = process.env,
  file = '.env'
): PostgresSettings | undefined {
  const fromFile = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {}
  const all = { ...fromFile, ...environment }
  if (all.DB_HOST === undefined || all.DB_HOST === '') return undefined
  const { success, data, error } = schema.safeParse(all)
  if (!success) {
    const [{ path, message }] = error.issues as [z.core.$ZodIssue]
    throw new DatabaseError(
      `${String(path[0])} in the environment or in ${file}: ${message}; DB_HOST alone names no database`
    )
  }
  const { DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME } = data
  return { host: DB_HOST, port: DB_PORT, user: DB_USER, password: DB_PASSWORD, database: DB_NAME }
}
