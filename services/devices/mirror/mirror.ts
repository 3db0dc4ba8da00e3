import pg from 'pg'
import { raceSignal } from 'race-signal'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import type { DatabaseView } from '../contract.ts'
import type { Chains } from '../delivery/chains.ts'
import { MirrorError } from '../errors.ts'
import type { ChainLog } from '../log/chain-log.ts'
import { readSecretFile } from '../secret-file.ts'
import { isSame, type Row, rowsOf, type StoredRow } from './row.ts'

const CONNECT_MS = 5_000
const QUERY_MS = 30_000
/** A report over a year of entries takes minutes; what is written waits for it. */
const CALL_MS = 10 * 60_000
const INT8 = 20
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS artel_device_entry (
    agent text NOT NULL,
    number bigint NOT NULL,
    seq bigint NOT NULL,
    at_ms bigint NOT NULL,
    device text NOT NULL,
    class text NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (agent, number, seq)
  );
  CREATE INDEX IF NOT EXISTS artel_device_entry_device ON artel_device_entry (device, kind, at_ms);
  CREATE TABLE IF NOT EXISTS artel_device_cursor (
    agent text NOT NULL,
    number bigint NOT NULL,
    next bigint NOT NULL,
    PRIMARY KEY (agent, number)
  )`
/** Any number that no other program of this database takes for its own advisory lock. */
const LOCK = 'SELECT pg_advisory_xact_lock(7270062)'

/** A chain beside what the database has of it. */
export interface Reconciled {
  agent: string
  number: number
  first: number
  last: number
  /** rows that are as the log has them */
  rows: number
  /** entries of the log without a row */
  missing: number
  /** rows that say something else than the log */
  wrong: number
  /** rows of entries that the log does not have */
  unknown: number
}

/** The address of the database, which holds a password. @throws {MirrorError} it cannot be read, or others can */
export async function readMirrorUrl(file: string): Promise<string> {
  try {
    return await readSecretFile(file)
  } catch (error) {
    throw new MirrorError(`${file} with the address of the database: ${(error as Error).message}`)
  }
}

/**
 * Writes the logs that are kept here into PostgreSQL: each entry once, in the order of its chain, whatever is down for how
 * long. `call`: a procedure of the database that is called after that.
 */
export function createMirror(url: string, chains: Pick<Chains, 'all' | 'find' | 'of'>, call?: string) {
  // a connection was lost; the next query opens another or tells why not
  const ignore = (): void => {}
  const open = (max: number, ms: number): pg.Pool =>
    new pg.Pool({
      connectionString: url,
      max,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: ms,
      query_timeout: ms,
      // every bigint of ours is below 2^53
      types: {
        getTypeParser: ((oid: number, format: 'text') =>
          oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser
      }
    }).on('error', ignore)
  const pool = open(2, QUERY_MS)
  const callers = open(1, CALL_MS)
  let hasTables = false
  /** statements by name, of those that are not there yet */
  const views = new Map<string, string>()
  /** something is there that the procedure does not know; what a process of before left is not known here */
  let isCallDue = true

  async function connected<T>(
    fails: string,
    work: (client: pg.PoolClient) => Promise<T>,
    from = pool
  ): Promise<T> {
    let client: pg.PoolClient | undefined
    try {
      checkWayOut()
      client = await from.connect()
      // it may be cut off between two queries, and while it is ours nobody else listens
      client.on('error', ignore)
      const result = await work(client)
      client.off('error', ignore)
      client.release()
      return result
    } catch (error) {
      // whatever it was doing is rolled back with it
      client?.release(true)
      if (error instanceof pg.DatabaseError || client == null || isLost(error))
        throw new MirrorError(`${fails}: ${(error as Error).message}`)
      throw error
    }
  }

  const within = <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> =>
    connected('the database takes nothing', async client => {
      await client.query('BEGIN')
      if (!hasTables) await client.query(`${LOCK}; ${SCHEMA}`)
      const result = await work(client)
      await client.query('COMMIT')
      hasTables = true
      return result
    })

  /** Each by itself, behind what is written: a table of that name, or a view of another owner, is in nobody's way. Resolves with what failed first. */
  async function makeViews(): Promise<unknown> {
    let failed: unknown
    for (const [name, statement] of views)
      await connected(`what is there is written, but the view ${name} is not made`, async client => {
        await client.query(`${LOCK}; ${statement}`)
        views.delete(name)
      }).catch(error => {
        failed ??= error
      })
    return failed
  }

  /** Where something is due. Not within a transaction: it may have some of its own. */
  async function callProcedure(signal: AbortSignal): Promise<void> {
    if (call == null || !isCallDue) return
    const work = (client: pg.PoolClient) => raceSignal(client.query(`CALL ${call}()`), signal)
    await connected(`what is there is written, but ${call}`, work, callers)
    isCallDue = false
  }

  /** Where it goes on; the cursor stands in the transaction of the rows. */
  async function writeNext(log: ChainLog): Promise<boolean> {
    const { agent, number } = log.chain
    return within(async client => {
      const { rows: cursors } = await client.query(
        'SELECT next FROM artel_device_cursor WHERE agent = $1 AND number = $2 FOR UPDATE',
        [agent, number]
      )
      const from = Math.max((cursors[0]?.next as number | undefined) ?? 0, log.first)
      if (from > log.head.seq) return false
      const batch = await log.read(from)
      const next = batch == null ? log.next(from) : from + batch.entries.length
      // what is missing comes back, and is written then
      if (next == null) return false
      if (batch != null) await insert(client, log, await rowsOf(batch, chains))
      await client.query(
        `INSERT INTO artel_device_cursor VALUES ($1, $2, $3)
         ON CONFLICT (agent, number) DO UPDATE SET next = greatest(artel_device_cursor.next, $3)`,
        [agent, number, next]
      )
      return true
    })
  }

  async function insert(client: pg.PoolClient, { chain }: ChainLog, rows: readonly Row[]): Promise<void> {
    await client.query(
      `INSERT INTO artel_device_entry
       SELECT $1, $2, * FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::bytea[])
       ON CONFLICT DO NOTHING`,
      [
        chain.agent,
        chain.number,
        rows.map(({ seq }) => seq),
        rows.map(({ atMs }) => atMs),
        rows.map(({ device }) => device),
        rows.map(each => each.class),
        rows.map(({ kind }) => kind),
        rows.map(({ body }) => body),
        rows.map(({ hash }) => Buffer.from(hash))
      ]
    )
  }

  async function reconcileChain(log: ChainLog, signal: AbortSignal): Promise<Reconciled> {
    const { agent, number } = log.chain
    const { first } = log
    const last = log.head.seq
    const counts = { rows: 0, missing: 0, wrong: 0, unknown: 0 }
    for (let from: number | undefined = first; from != null && from <= last; ) {
      signal.throwIfAborted()
      const batch = await log.read(from)
      if (batch == null) {
        from = log.next(from)
        continue
      }
      const to = Math.min(last, from + batch.entries.length - 1)
      const stored = await storedRows(log, from, to)
      for (const row of await rowsOf(batch, chains)) {
        if (row.seq > to) break
        const found = stored.get(row.seq)
        stored.delete(row.seq)
        if (found == null) counts.missing++
        else if (isSame(row, found)) counts.rows++
        else counts.wrong++
      }
      counts.unknown += stored.size
      from = to + 1
    }
    return { agent, number, first, last, ...counts }
  }

  async function storedRows({ chain }: ChainLog, from: number, to: number): Promise<Map<number, StoredRow>> {
    const { rows } = await within(client =>
      client.query(
        `SELECT seq, at_ms AS "atMs", device, class, kind, body, hash FROM artel_device_entry
         WHERE agent = $1 AND number = $2 AND seq BETWEEN $3 AND $4`,
        [chain.agent, chain.number, from, to]
      )
    )
    return new Map((rows as StoredRow[]).map(row => [row.seq, row]))
  }

  return {
    /** Writes what is new. @throws {MirrorError} the database is not there; nothing is lost, and it is tried again */
    async catchUp(signal: AbortSignal): Promise<void> {
      for (const log of chains.all()) while (!signal.aborted && (await writeNext(log))) isCallDue = true
      if (signal.aborted) return
      const failed = [await makeViews(), await callProcedure(signal).catch(error => error)]
      for (const error of failed) if (error != null) throw error
    },
    /** It is there after the next that is written. */
    show({ name, query }: DatabaseView): void {
      views.set(name, `CREATE OR REPLACE VIEW ${name} AS ${query}`)
    },
    /** Compares every entry that is kept here with its row. @throws {MirrorError} */
    async reconcile(signal: AbortSignal): Promise<Reconciled[]> {
      const items: Reconciled[] = []
      for (const log of chains.all()) if (log.head.seq >= 0) items.push(await reconcileChain(log, signal))
      return items
    },
    async close(): Promise<void> {
      await Promise.all([pool.end(), callers.end()])
    }
  }
}

const isLost = (error: unknown): boolean =>
  typeof (error as { code?: unknown }).code === 'string' ||
  /^(Connection terminated|Client has encountered a connection error|Query read timeout|timeout exceeded)/.test(
    (error as Error).message
  )
