import type { Outcome, Sandbox } from '../../sandbox/index.ts'

interface Running {
  inputs: Uint8Array[]
  aborted: boolean
  /** ends the run with one outcome per input */
  end(outcome?: (input: Uint8Array) => Outcome): void
}

/** A sandbox whose runs end when the test says so. */
export function createFake() {
  const running: Running[] = []
  const opened: string[] = []
  let closed = 0
  const sandbox = {
    class: 'v8/test',
    walled: true,
    walls: [],
    async open(_program: unknown, { requester }: { requester: string }) {
      opened.push(requester)
      return {
        class: 'v8/test',
        said: '',
        run: (inputs: Uint8Array[], { signal }: { signal?: AbortSignal } = {}) =>
          new Promise<Outcome[]>(resolve => {
            const entry: Running = {
              inputs,
              aborted: false,
              end(outcome = input => ({ ok: true, value: input, ms: 1000 })) {
                running.splice(running.indexOf(entry), 1)
                resolve(inputs.map(outcome))
              }
            }
            signal?.addEventListener('abort', () => {
              entry.aborted = true
              entry.end(() => ({ ok: false, failure: { name: 'aborted', message: 'aborted' }, ms: 1 }))
            })
            running.push(entry)
          }),
        close: async () => void closed++
      }
    }
  } as unknown as Sandbox
  return { sandbox, running, opened, closed: () => closed }
}
