import type { Child, End } from '../child.ts'
import { FRAME, type LoadMessage } from '../child-main.ts'
import { SandboxUnavailableError } from '../errors.ts'
import { OPERATION } from '../operation.ts'
import { utcDate } from './utc-date.ts'
import { KEPT_GLOBALS, type WebStart, workerMain } from './worker-main.ts'

/** One end of a channel to another thread, as browsers and Node have it. */
export type Port = Pick<MessagePort, 'postMessage' | 'onmessage' | 'close'>

/** What browser and page give: Workers that reach nothing but their port. */
export interface WebWalls {
  /**
   * Starts a Worker with `texts[0]`. As its first message it gets the addresses of the other texts, in order, as
   * `scripts`, and the fields of `start`. `onGone`: it failed by itself.
   */
  open(texts: string[], start: Omit<WebStart, 'scripts'>, onGone: (reason: string) => void): Port
  /** Ends it, whatever it does. */
  end(port: Port): void
}

const MAIN = `"use strict";(${utcDate})();(${workerMain})(${[FRAME, OPERATION, KEPT_GLOBALS].map(each => JSON.stringify(each))})`
const NOTHING = { bytes: 0, threads: 0 }

/** A Worker as session.ts sees a process. It begins with the program that it is given: there is one Worker for each. */
export function createWebChild(walls: WebWalls): Child {
  const ended = Promise.withResolvers<End>()
  let port: Port | undefined
  let isAlive = true

  function end(how: End): void {
    if (!isAlive) return
    isAlive = false
    if (port != null) walls.end(port)
    ended.resolve(how)
  }

  function load(body: Uint8Array): void {
    const view = new DataView(body.buffer, body.byteOffset)
    const size = 4 + view.getUint32(0, true)
    const message = JSON.parse(new TextDecoder().decode(body.subarray(4, size))) as LoadMessage
    const { prelude, task, driver, functions, kind, guard, touched, outputBytes } = message
    const parts = Object.entries({
      task,
      driver,
      ...Object.fromEntries(Object.entries(functions).map(([name, part]) => [`:${name}`, part]))
    }).flatMap(([role, part]) => (part == null ? [] : [{ role, text: part.text }]))
    const opened = walls.open(
      [MAIN, giving(prelude), ...parts.map(({ text }) => giving(text))],
      {
        roles: parts.map(({ role }) => role),
        message: { kind, guard, touched, outputBytes, export: message.export },
        context: message.contextBytes > 0 ? body.slice(size, size + message.contextBytes) : undefined
      },
      () => end('crashed')
    )
    port = opened
    opened.onmessage = ({ data }) => {
      if (!isAlive) return
      const { type, body: answer, problem } = data as { type: number; body?: Uint8Array; problem?: string }
      child.onFrame(type, answer == null ? Buffer.from(`${problem}`) : Buffer.from(answer.buffer))
    }
  }

  const child: Child = {
    pid: 0,
    ended: ended.promise,
    get alive() {
      return isAlive
    },
    maxFrameBytes: 0,
    onFrame: () => {},
    said: '',
    usage: () => NOTHING,
    limit: async () => {},
    send(parts) {
      if (!isAlive) return
      const [head, ...rest] = parts
      const type = new DataView(head!.buffer, head!.byteOffset).getUint32(0, true)
      const body = join(rest)
      if (type === FRAME.load) load(body)
      else if (port != null) port.postMessage(body)
      else throw new SandboxUnavailableError(`a Worker got a frame of type ${type} before its program`)
    },
    kill: () => end('killed')
  }
  return child
}

/** A script with a value as one that gives it away; the author's lines stay where they are. */
const giving = (text: string): string => `"use strict";artelTake(${text.replace(/^"use strict";/, '')}\n)`

function join(parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}
