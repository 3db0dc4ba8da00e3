import { Buffer } from 'buffer/'

/*
 * What the rooms use of Node beside its modules, for a Worker of a browser; imported before everything else.
 */

// this Buffer knows base64, and reads the other spelling of it; it cannot write it
const toText = Buffer.prototype.toString
Buffer.prototype.toString = function (encoding?: string, start?: number, end?: number): string {
  if (encoding !== 'base64url') return toText.call(this, encoding, start, end)
  return toText
    .call(this, 'base64', start, end)
    .replace(/[+/=]/g, char => ({ '+': '-', '/': '_' })[char] ?? '')
}
const fromAny = Buffer.from as (value: unknown, encoding?: unknown, length?: number) => Buffer
Object.assign(Buffer, {
  from: (value: unknown, encoding?: unknown, length?: number) =>
    fromAny(value, encoding === 'base64url' ? 'base64' : encoding, length)
})

const later = new MessageChannel()
const tasks: (() => void)[] = []
later.port1.onmessage = () => tasks.shift()?.()

Object.assign(globalThis, {
  Buffer,
  // a browser does not tell what a thread used; in a tab nobody is charged for it
  process: { env: {}, threadCpuUsage: () => ({ user: 0, system: 0 }) },
  setImmediate(task: (...args: unknown[]) => void, ...args: unknown[]) {
    tasks.push(() => task(...args))
    later.port2.postMessage(0)
  }
})
