/** Tells whoever serves somebody for long (event streams, waits) that his token or session has ended. */
export function createEndings() {
  const controllers = new Map<string, AbortController>()

  return {
    /** aborted when it ends */
    signal(id: string): AbortSignal {
      const controller = controllers.get(id) ?? new AbortController()
      controllers.set(id, controller)
      return controller.signal
    },
    end(id: string): void {
      controllers.get(id)?.abort()
      controllers.delete(id)
    }
  }
}
