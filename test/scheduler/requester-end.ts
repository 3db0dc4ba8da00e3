import type { FromRequester, FromWorker, SliceResult } from '../../scheduler/protocol/compute-messages.ts'
import type { ComputeWorker } from '../../scheduler/worker/worker.ts'

/*
 * A requester of a worker, without a network between them.
 */

export const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve))
}

export const load = (program = 'p'): FromRequester => ({
  t: 'load',
  program,
  kind: 'function',
  source: 'x => x',
  timeoutMs: 1000,
  memoryMb: 64
})
// longer than what is run together
export const lease = (ids: number[], program = 'p', expectedMs = 1000): FromRequester => ({
  t: 'lease',
  slices: ids.map(id => ({
    id,
    program,
    inputs: [Uint8Array.of(id & 255)],
    expectedMs,
    job: 'job',
    price: 1
  }))
})

export function connected(worker: ComputeWorker, id = 'alice') {
  const said: FromWorker[] = []
  const connection = worker.connect(id, message => said.push(message))
  const of = <T extends FromWorker['t']>(t: T) =>
    said.filter((message): message is Extract<FromWorker, { t: T }> => message.t === t)
  const results = (): SliceResult[] => of('result').flatMap(message => message.slices)
  const refused = (): number[] => of('refused').flatMap(message => message.slices)
  return { ...connection, said, of, results, refused }
}
