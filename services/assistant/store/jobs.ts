import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { Question } from '../ask.ts'
import type { Json } from '../provider/send.ts'
import { seal, unseal } from './seal.ts'

export type JobState = 'queued' | 'running' | 'done' | 'failed'

export interface Job {
  id: string
  user: string
  state: JobState
  error?: string
  /** ms since 1970 */
  created: number
  ended?: number
}

type Row = Omit<Job, 'error' | 'ended'> & { error: string | null; ended: number | null }

const COLUMNS = 'id, user, state, error, created, ended'

/** Jobs with their questions and, as files, their answers, both sealed under the key of their user. */
export function createJobStore(db: DatabaseSync, folder: string, keyOf: (user: string) => Uint8Array) {
  const sql = {
    add: db.prepare("INSERT INTO jobs (id, user, state, question, created) VALUES (?, ?, 'queued', ?, ?)"),
    get: db.prepare(`SELECT ${COLUMNS} FROM jobs WHERE id = ?`),
    question: db.prepare('SELECT question FROM jobs WHERE id = ?'),
    queued: db.prepare("SELECT user, min(created) AS created FROM jobs WHERE state = 'queued' GROUP BY user"),
    first: db.prepare(
      `SELECT ${COLUMNS} FROM jobs WHERE state = 'queued' AND user = ? ORDER BY created, rowid LIMIT 1`
    ),
    count: db.prepare("SELECT count(*) AS count FROM jobs WHERE user = ? AND state IN ('queued', 'running')"),
    set: db.prepare('UPDATE jobs SET state = ?, error = ?, ended = ? WHERE id = ?'),
    remove: db.prepare('DELETE FROM jobs WHERE id = ?'),
    ended: db.prepare(`SELECT ${COLUMNS} FROM jobs WHERE ended < ?`),
    ofUser: db.prepare(`SELECT ${COLUMNS} FROM jobs WHERE user = ?`)
  }
  // what ran when the node ended is begun anew
  db.exec("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
  const read = (row: unknown): Job => {
    const { error, ended, ...rest } = row as Row
    return { ...rest, ...(error == null ? {} : { error }), ...(ended == null ? {} : { ended }) }
  }
  const open = (bytes: Uint8Array, { user, id }: Pick<Job, 'user' | 'id'>): Json =>
    JSON.parse(Buffer.from(unseal(bytes, keyOf(user), Buffer.from(id))).toString())
  const close = (value: unknown, { user, id }: Pick<Job, 'user' | 'id'>): Uint8Array =>
    seal(Buffer.from(JSON.stringify(value)), keyOf(user), Buffer.from(id))

  return {
    add(job: Pick<Job, 'id' | 'user' | 'created'>, { body, bytes }: Question): void {
      sql.add.run(job.id, job.user, close({ body, bytes }, job), job.created)
    },
    get(id: string): Job | undefined {
      const row = sql.get.get(id)
      return row && read(row)
    },
    question(job: Job): Question {
      const { question } = sql.question.get(job.id) as { question: Uint8Array }
      return { user: job.user, ...(open(question, job) as unknown as Pick<Question, 'body' | 'bytes'>) }
    },
    /** users with jobs that wait, each since when */
    waiting: () => sql.queued.all() as { user: string; created: number }[],
    first: (user: string): Job => read(sql.first.get(user)),
    /** of a user, that wait or run */
    count: (user: string): number => (sql.count.get(user) as { count: number }).count,
    set: (id: string, state: JobState, ended?: number, error?: string): void =>
      void sql.set.run(state, error ?? null, ended ?? null, id),
    async remove(id: string): Promise<void> {
      sql.remove.run(id)
      await rm(join(folder, id), { force: true })
    },
    endedBefore: (time: number): Job[] => sql.ended.all(time).map(read),
    of: (user: string): Job[] => sql.ofUser.all(user).map(read),

    async writeAnswer(job: Job, answer: Json): Promise<void> {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const draft = join(folder, `.${job.id}.new`)
      try {
        await writeFile(draft, close(answer, job), { mode: 0o600 })
        await rename(draft, join(folder, job.id))
      } finally {
        await rm(draft, { force: true })
      }
    },
    readAnswer: async (job: Job): Promise<Json> => open(await readFile(join(folder, job.id)), job)
  }
}

export type JobStore = ReturnType<typeof createJobStore>
