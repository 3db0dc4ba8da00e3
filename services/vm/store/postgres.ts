import pg from 'pg'
import { type Database, failed, type OnFault, type Queries, type Row, type Value } from './database.ts'
import { createInTurn } from './in-turn.ts'
import { createJoint } from './joint.ts'
import { MIGRATIONS } from './schema.ts'
import type { PostgresSettings } from './settings.ts'

const CONNECTIONS = 8
const STATEMENT_MS = 10_000
/** A server that hangs keeps no deadline of its own. */
const ANSWER_MS = 15_000
/** Any number that no other program of this database takes for its own advisory lock. */
const MIGRATION_LOCK = 7_270_061
const INT8 = 20

/** Connects and brings the tables up to date. @throws DatabaseError where the server does not answer or refuses */
export async function openPostgres(
  settings: PostgresSettings,
  onFault: OnFault = () => {}
): Promise<Database> {
  const told = (cause: unknown) => failed(cause, onFault)
  const pool = new pg.Pool({
    ...settings,
    max: CONNECTIONS,
    pipeline: true,
    connectionTimeoutMillis: ANSWER_MS,
    statement_timeout: STATEMENT_MS,
    query_timeout: ANSWER_MS,
    // every BIGINT of ours is below 2^53
    types: {
      getTypeParser: ((oid: number, format: 'text') =>
        oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser
    }
  })
  pool.on('error', () => {}) // an idle connection was lost; the next query opens another or tells why not

  // What one counts, another must not change meanwhile. A node has its database for itself; serializable transactions
  // gave up after twenty tries where eight clients came at once.
  const inTurn = createInTurn()

  // each connection has the server look at a text once
  const names = new Map<string, string>()
  function nameOf(sql: string): string {
    const name = names.get(sql) ?? `artel_${names.size}`
    names.set(sql, name)
    return name
  }

  const queriesOf = (client: pg.Pool | pg.PoolClient): Queries => ({
    query: async <T extends Row>(text: string, ...values: Value[]) =>
      (await client.query({ name: nameOf(text), text, values }).catch(cause => Promise.reject(told(cause))))
        .rows as T[]
  })

  async function withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch(cause => Promise.reject(told(cause)))
    try {
      return await work(client)
    } finally {
      client.release()
    }
  }

  const transaction = <T>(work: (queries: Queries) => Promise<T>): Promise<T> =>
    withClient(async client => {
      try {
        // the first statement does not wait for the answer to this one
        const [, result] = await Promise.all([client.query('BEGIN'), work(queriesOf(client))])
        await client.query('COMMIT')
        return result
      } catch (error) {
        await client.query('ROLLBACK').catch(() => {}) // the connection is gone; the error below says so
        throw error
      }
    })

  /** The server has all of it before it answers; where a statement failed it does not commit. */
  async function atOnce<T>(client: pg.PoolClient, work: (queries: Queries) => Promise<T>): Promise<T> {
    const asked = [client.query('BEGIN'), work(queriesOf(client)), client.query('COMMIT')] as const
    // nothing of it is on the way when the next one has the connection
    await Promise.allSettled(asked)
    return (await Promise.all(asked))[1]
  }

  try {
    await migrate(pool)
  } catch (error) {
    await pool.end()
    throw told(error)
  }
  return {
    kind: 'postgresql',
    ...queriesOf(pool),
    together: work => withClient(client => work(queriesOf(client))),
    joint: createJoint((isTransaction, work) =>
      inTurn(() => (isTransaction ? withClient(client => atOnce(client, work)) : work(queriesOf(pool))))
    ),
    transaction: work => inTurn(() => transaction(work)),
    close: () => pool.end()
  }
}

async function migrate(pool: pg.Pool) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK])
    await client.query('CREATE TABLE IF NOT EXISTS artel_vm_schema (version BIGINT NOT NULL)')
    const { rows } = await client.query('SELECT max(version) AS version FROM artel_vm_schema')
    const version = Number(rows[0].version ?? 0)
    for (let next = version; next < MIGRATIONS.length; next++) {
      await client.query(MIGRATIONS[next]!)
      await client.query('INSERT INTO artel_vm_schema VALUES ($1)', [next + 1])
    }
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {}) // the connection is gone; the error below says so
    throw error
  } finally {
    client.release()
  }
}
