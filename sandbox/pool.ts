import type { Child } from './child.ts'

export type Pool = ReturnType<typeof createPool>

/** Children that were started before they are needed, of one kind. */
export function createPool(init: {
  launch: () => Promise<Child>
  /** how many may be ready now, with those that are */
  most: () => number
}) {
  const ready: Promise<Child>[] = []

  return {
    refill(): void {
      while (ready.length < init.most()) {
        const child = init.launch()
        child.catch(() => {}) // whoever takes it sees the error
        ready.push(child)
      }
    },

    async take(): Promise<Child> {
      for (let warmed = ready.shift(); warmed !== undefined; warmed = ready.shift()) {
        // a warm one that is gone is passed over; if none can be started, the launch below says why
        const child = await warmed.catch(() => undefined)
        if (child?.alive) return child
      }
      return init.launch()
    },

    /** Throws what kept one from starting. */
    async started(): Promise<void> {
      await Promise.all(ready)
    },

    async drain(): Promise<void> {
      await Promise.allSettled(
        ready.splice(0).map(async starting => {
          const child = await starting
          child.kill()
          await child.ended
        })
      )
    }
  }
}
