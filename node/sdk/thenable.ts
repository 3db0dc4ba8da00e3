import type { Thenable } from './contract.ts'

/** What is awaited like a promise, which is asked for only then. */
export const thenable = <R>(promise: () => Promise<R>): Thenable<R> => ({
  // biome-ignore lint/suspicious/noThenProperty: it is awaited like the promise
  then: (onResult, onError) => promise().then(onResult, onError),
  catch: onError => promise().catch(onError),
  finally: onEnd => promise().finally(onEnd)
})
