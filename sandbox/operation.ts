/** What the child asks of a context. Only numbers, strings and shared memory cross, never an object. */
export const OPERATION = {
  /** (input, output, control): the shared buffers, control as in child-main.ts */
  buffers: 0,
  /** (name, factory): one more function of the author's */
  addFunction: 1,
  /** (kind, task factory, driver, context bytes, module bytes, export name, most bytes of an output, guard, touched names behind commas) */
  load: 2,
  /** (from, to): works on these inputs. Returns while an async one is pending; microtasks then carry on */
  run: 3,
  /** nothing is left to do: goes on with the next item; or the pending promise can never settle, for nothing outside feeds this isolate: fails that input, carries on */
  unstick: 4,
  /** the output buffer is empty and large enough now: puts what did not fit, carries on */
  resume: 5,
  /** (kind, module bytes, export name): what is wrong with a WebAssembly module, or undefined */
  problem: 6,
  /** Of runtimes (runtime.ts). (files…): starts it, as far as microtasks do not carry on */
  boot: 7,
  /** its memory after a start without one */
  snapshot: 8,
  /** it is ready for a program, or this throws why not */
  ready: 9,
  /** (source, context bytes, memory in MB, seed, most bytes of an output): what is wrong with the author's program, or undefined */
  loadInto: 10,
  /** what was printed since the last time */
  said: 11,
  /** (windows…): the input at hand as characters, carries on */
  text: 12
} as const
