import type { Progress } from './contract.ts'

/** Often enough for an eye. */
const TELL_EVERY_MS = 250

export interface Transfer extends Progress {
  id: number
  what: 'add' | 'fetch'
  /** name or CID */
  file: string
}

/** What is on its way, for whoever looks at the dashboard. */
export function createTransfers(tell: (transfers: Transfer[]) => void) {
  const running = new Map<number, Transfer>()
  let timer: NodeJS.Timeout | undefined
  let next = 1

  function later(): void {
    timer ??= setTimeout(() => {
      timer = undefined
      tell([...running.values()])
    }, TELL_EVERY_MS)
  }

  return {
    list: (): Transfer[] => [...running.values()],

    /** Shows the work while it runs; `onProgress` hears the same. */
    async show<T>(
      { what, file, total }: Pick<Transfer, 'what' | 'file' | 'total'>,
      onProgress: ((progress: Progress) => void) | undefined,
      work: (grow: (bytes: number, total?: number) => void) => Promise<T>
    ): Promise<T> {
      const transfer: Transfer = { id: next++, what, file, done: 0, ...(total == null ? {} : { total }) }
      running.set(transfer.id, transfer)
      try {
        return await work((bytes, all) => {
          transfer.done += bytes
          if (all != null) transfer.total = all
          onProgress?.({ done: transfer.done, ...(transfer.total == null ? {} : { total: transfer.total }) })
          later()
        })
      } finally {
        running.delete(transfer.id)
        later()
      }
    },

    stop(): void {
      clearTimeout(timer)
    }
  }
}

export type Transfers = ReturnType<typeof createTransfers>
