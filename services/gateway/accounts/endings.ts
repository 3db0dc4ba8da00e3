/** Tells whoever serves somebody for long (event streams, waits) that his token or session has ended. */
export function createEndings() {
  const controllers = new Map<string, AbortController>()

  function end(id: string): void {
    controllers.get(id)?.abort()
    controllers.delete(id)
  }

  return {
    end,
    /** aborted when it ends */
    signal(id: string): AbortSignal {
      const controller = controllers.get(id) ?? new AbortController()
      controllers.set(id, controller)
      return controller.signal
    },
    /** Ends what is over by its time. */
    sweep(holds: (id: string) => boolean): void {
      for (const id of controllers.keys()) if (!holds(id)) end(id)
    }
  }
}
export type Endings = ReturnType<typeof createEndings>
