/** In place of node:timers/promises. */
export const setImmediate = (): Promise<void> => new Promise(resolve => globalThis.setImmediate(resolve))
