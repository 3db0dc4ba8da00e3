import { z } from 'zod'
import type { Scheduler } from '../../scheduler/index.ts'
import { encoded, group, type Handlers, operation } from '../host/index.ts'
import { jobState } from './schema.ts'

/** What is read of a dataset at once comes from many machines. */
const READ_MS = 10 * 60_000
/** Most items of a page. */
const MAX_ITEMS = 100_000

const id = z.string().min(1).max(64).describe('id of the job that made it, with `keep: true`')
const size = z.number().int().nonnegative()
const time = z.number().describe('ms since 1970')

const dataset = z.object({
  id: z.string(),
  type: z.string().describe('task type of the job'),
  name: z.string().optional(),
  state: jobState.describe('of the job; the items are there when it is completed'),
  items: size,
  bytes: size.describe('what the items take as canonical values'),
  slices: size,
  holders: z.array(z.object({ peer: z.string(), bytes: size })),
  made: time,
  expires: time.describe('when it is let go of, where nobody uses it before')
})
export type DatasetView = z.output<typeof dataset>

const read = { scope: 'read' } as const

/** Results that stayed at the workers that made them. */
export const data = group({
  name: 'data',
  summary: 'datasets: results of this node’s jobs that stay at the workers that made them',
  operations: {
    list: operation({
      summary: 'Datasets of this node, newest first',
      input: z.object({}),
      output: z.object({ items: z.array(dataset) }),
      http: { method: 'GET', path: '/datasets' },
      ...read
    }),
    show: operation({
      summary: 'One dataset, and who has how much of it',
      input: z.object({ id }),
      output: dataset,
      http: { method: 'GET', path: '/datasets/:id' },
      command: { arguments: ['id'], examples: ['data show 0123456789abcdef'] },
      ...read
    }),
    count: operation({
      summary: 'How many items a dataset has',
      input: z.object({ id }),
      output: z.object({ items: size }),
      http: { method: 'GET', path: '/datasets/:id/count' },
      command: {
        arguments: ['id'],
        examples: ['data count 0123456789abcdef'],
        show: ({ items }: { items: number }) => String(items)
      },
      ...read
    }),
    page: operation({
      summary: 'Some items of a dataset, in order; fewer than asked where they take more than 32 MiB',
      input: z.object({
        id,
        first: z.int().min(0).default(0).describe('number of the first'),
        limit: z.int().min(1).max(MAX_ITEMS).default(100).describe('how many at most')
      }),
      output: encoded,
      http: { method: 'GET', path: '/datasets/:id/items' },
      deadlineMs: READ_MS,
      command: {
        arguments: ['id'],
        examples: ['data page 0123456789abcdef --first 1000 --limit 20 --json'],
        show: lines
      },
      ...read
    }),
    collect: operation({
      summary: 'All items of a dataset: the result as it would have been without `keep`',
      description: 'What nobody has any more is calculated again first.',
      input: z.object({ id }),
      output: encoded,
      http: { method: 'GET', path: '/datasets/:id/collect' },
      deadlineMs: READ_MS,
      command: {
        arguments: ['id'],
        examples: ['data collect 0123456789abcdef --json > result.json'],
        show: lines
      },
      ...read
    }),
    release: operation({
      summary: 'Let go of a dataset, here and at the workers that have it',
      input: z.object({ id }),
      output: z.object({ id: z.string() }),
      http: { method: 'DELETE', path: '/datasets/:id' },
      scope: 'submit',
      command: {
        arguments: ['id'],
        examples: ['data release 0123456789abcdef'],
        confirm: ({ id }: { id: string }) => `let go of dataset ${id}?`,
        show: ({ id }: { id: string }) => `${id} is released`
      }
    })
  }
})

/** An item a line. */
function lines(items: unknown): string {
  return (items as unknown[])
    .map(item => (typeof item === 'string' ? item : (JSON.stringify(item) ?? 'undefined')))
    .join('\n')
}

/** Answers what can be asked about datasets. */
export function answerData({
  scheduler
}: {
  scheduler: Pick<Scheduler, 'datasets'>
}): Handlers<(typeof data)['operations']> {
  return {
    list: () => ({ items: scheduler.datasets.list() }),
    show: ({ id }) => scheduler.datasets.show(id),
    count: ({ id }) => ({ items: scheduler.datasets.show(id).items }),
    page: async ({ id, first, limit }, { signal }) => ({
      canonical: await scheduler.datasets.page(id, { first, count: limit }, { signal })
    }),
    async collect({ id }, { signal }) {
      const { size, chunks } = await scheduler.datasets.collect(id, { signal })
      const canonical = new Uint8Array(size)
      let at = 0
      for await (const chunk of chunks) {
        canonical.set(chunk, at)
        at += chunk.length
      }
      return { canonical }
    },
    async release({ id }) {
      await scheduler.datasets.release(id)
      return { id }
    }
  }
}
