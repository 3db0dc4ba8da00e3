/** What a user might pick instead of Artel, ready to run on this machine. */
export interface Peer extends AsyncDisposable {
  /** ms for `tasks` tiny tasks given in the way that is fastest for this peer, results checked */
  throughput(tasks: number): Promise<number>
  /** ms of each of `tasks` tiny tasks, one after the other */
  latencies(tasks: number): Promise<number[]>
}

export interface PeerKind {
  name: string
  /** how to get it */
  get: string
  /** Throws when it is not installed. */
  version(): Promise<string>
  start(): Promise<Peer>
  /** tiny tasks per run: enough for a second or so */
  tasks: number
}

export const TINY_RESULT = 500_500

export function check(results: unknown[]): void {
  const wrong = results.find(result => Number(result) !== TINY_RESULT)
  if (wrong !== undefined) throw new Error(`a peer's tiny task gave ${wrong}`)
}

/** A peer from one function that runs one task. `atOnce` keeps as many under way. */
export function fromCall(
  call: () => Promise<unknown>,
  { atOnce, stop }: { atOnce: number; stop: () => Promise<void> }
): Peer {
  return {
    async throughput(tasks) {
      let left = tasks
      const started = performance.now()
      await Promise.all(
        Array.from({ length: atOnce }, async () => {
          while (left-- > 0) check([await call()])
        })
      )
      return performance.now() - started
    },
    async latencies(tasks) {
      const samples: number[] = []
      for (let i = 0; i < tasks; i++) {
        const started = performance.now()
        check([await call()])
        samples.push(performance.now() - started)
      }
      return samples
    },
    [Symbol.asyncDispose]: stop
  }
}
