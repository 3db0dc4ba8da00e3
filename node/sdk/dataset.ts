import type { Dataset, DatasetView, Job, TaskOptions, TaskSpec, Waiting } from './contract.ts'
import type { ServiceClients } from './service-types.ts'

// Items of a page that is read: one answer each.
const PAGE_ITEMS = 1000

export interface DatasetComponents {
  data: ServiceClients['data']
  run(spec: { type: TaskSpec['type'] }, options?: TaskOptions): Job<never>
}

/** Results that stayed at the workers, by the id of the job that made them. */
export function createDataset<T>(id: string, components: DatasetComponents): Dataset<T> {
  const { data, run } = components
  const items = { dataset: id }

  async function keep<R>(spec: object, options?: TaskOptions): Promise<Dataset<R>> {
    return kept(run({ ...spec, items, keep: true } as never, options), components, options)
  }

  const release = async (options?: Waiting): Promise<void> => void (await data.release({ id }, options))
  const show = (options?: Waiting): Promise<DatasetView> => data.show({ id }, options)
  const page = async (first: number, limit: number, options?: Waiting): Promise<T[]> =>
    (await data.page({ id, first, limit }, options)) as unknown as T[]

  return {
    id,
    dataset: id,
    map: (fn: unknown, options?: TaskOptions) => keep({ type: 'map', fn }, options),
    filter: (fn: unknown, options?: TaskOptions) => keep({ type: 'filter', fn }, options),
    mapReduce: (map: unknown, reduce: unknown, options?: TaskOptions) =>
      run({ type: 'map_reduce', items, map, reduce } as never, options),
    show,
    count: async options => (await data.count({ id }, options)).items,
    page,
    collect: async options => (await data.collect({ id }, options)) as unknown as T[],
    release,
    async *[Symbol.asyncIterator]() {
      const { items: all } = await show()
      for (let first = 0; first < all; ) {
        // fewer where they are large
        const items = await page(first, PAGE_ITEMS)
        yield* items
        first += items.length
      }
    },
    [Symbol.asyncDispose]: () => release()
  } as Dataset<T>
}

/** What a job with `keep` makes, once it is made. */
export async function kept<R>(
  job: Job<never>,
  components: DatasetComponents,
  options?: TaskOptions
): Promise<Dataset<R>> {
  await job.result(options)
  return createDataset(await job.id, components)
}
