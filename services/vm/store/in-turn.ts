/** Runs one piece of work after the other, in the order in which they come. */
export interface InTurn {
  <T>(work: () => Promise<T>): Promise<T>
  /** resolves when all that has come so far has ended */
  idle(): Promise<void>
}

export function createInTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve()
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work)
    last = turn.catch(() => {}) // whoever asked for it has it from `turn`
    return turn
  }
  return Object.assign(inTurn, { idle: () => last.then(() => {}) })
}
