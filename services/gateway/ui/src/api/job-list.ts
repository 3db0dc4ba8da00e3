import { useCallback, useEffect, useRef, useState } from 'react'
import { call } from './client.ts'
import { useLiveSource } from './live.ts'
import type { JobPage, JobReport, JobState } from './wire.ts'

const PAGE = 200

export interface JobFilter {
  state?: JobState
  type?: string
}

export interface JobList {
  items: JobReport[]
  /** of all jobs that match, loaded or not */
  total: number
  isLoading: boolean
  error: Error | undefined
  /** Loads pages until the row with this index is there. */
  reach(index: number): void
  reload(): void
}

interface Run {
  /** a new one loads everything again */
  generation: number
  wanted: number
  isBusy: boolean
  next: string | undefined
  loaded: number
}
const START = { wanted: 0, isBusy: false, next: undefined, loaded: 0 }

/** The jobs of this node, newest first, in pages as far as somebody scrolled; new and ended ones come by themselves. */
export function useJobList(filter: JobFilter): JobList {
  const { state, type } = filter
  const live = useLiveSource()
  const [list, setList] = useState<{ items: JobReport[]; total: number }>({ items: [], total: 0 })
  const [isLoading, setLoading] = useState(true)
  const [error, setError] = useState<Error | undefined>()
  const [generation, setGeneration] = useState(0)
  const run = useRef<Run>({ ...START, generation })

  const load = useCallback(
    async (from: Run): Promise<void> => {
      if (from.isBusy) return
      from.isBusy = true
      try {
        do {
          const query = new URLSearchParams({ limit: String(PAGE) })
          if (state != null) query.set('state', state)
          if (type != null) query.set('type', type)
          if (from.next != null) query.set('cursor', from.next)
          const page = await call<JobPage>(`/tasks?${query}`)
          if (run.current !== from) return
          from.next = page.next
          from.loaded += page.items.length
          setList(({ items }) => ({ items: withoutDoubles(items, page.items), total: page.total }))
          setError(undefined)
        } while (from.next != null && from.loaded <= from.wanted)
      } catch (err) {
        if (run.current === from) setError(err as Error)
      } finally {
        from.isBusy = false
        if (run.current === from) setLoading(false)
      }
    },
    [state, type]
  )

  useEffect(() => {
    run.current = { ...START, generation }
    setList({ items: [], total: 0 })
    setLoading(true)
    void load(run.current)
  }, [load, generation])

  useEffect(
    () =>
      live.listen(event => {
        if (event == null) setGeneration(count => count + 1)
        else if (event.type === 'job' || event.type === 'end')
          setList(current => withJob(current, event.job, { state, type }))
      }),
    [live, state, type]
  )

  const reach = useCallback(
    (index: number) => {
      const mine = run.current
      mine.wanted = Math.max(mine.wanted, index)
      if (mine.next != null && mine.loaded <= index) void load(mine)
    },
    [load]
  )

  return { ...list, isLoading, error, reach, reload: () => setGeneration(count => count + 1) }
}

function withoutDoubles(items: JobReport[], more: JobReport[]): JobReport[] {
  const known = new Set(items.slice(-PAGE).map(({ job }) => job))
  return [...items, ...more.filter(({ job }) => !known.has(job))]
}

export function withJob(
  list: { items: JobReport[]; total: number },
  job: JobReport,
  { state, type }: JobFilter
): { items: JobReport[]; total: number } {
  const matches = (state == null || job.state === state) && (type == null || job.type === type)
  const at = list.items.findIndex(each => each.job === job.job)
  if (at === -1) {
    // an older one that is not loaded has its place further down
    const isNewest = list.items.length === 0 || job.submitted >= list.items[0]!.submitted
    return matches && isNewest ? { items: [job, ...list.items], total: list.total + 1 } : list
  }
  if (matches) return { ...list, items: list.items.with(at, job) }
  return { items: list.items.toSpliced(at, 1), total: list.total - 1 }
}
