import type { Port, WebWalls } from '../../sandbox/index.ts'

/** The walls of a page, through the port that leads to its sandboxed frame (walls.html in the dashboard's sources). */
export function createWalls(frame: MessagePort): WebWalls {
  const ids = new Map<Port, number>()
  const lost = new Map<number, (reason: string) => void>()
  let last = 0
  frame.onmessage = ({ data }: MessageEvent<{ gone: number; reason: string }>) =>
    lost.get(data.gone)?.(data.reason)
  return {
    open(texts, start, onGone) {
      const { port1, port2 } = new MessageChannel()
      const id = ++last
      ids.set(port1, id)
      lost.set(id, onGone)
      frame.postMessage({ id, texts, start }, [port2])
      return port1
    },
    end(port) {
      const id = ids.get(port)!
      ids.delete(port)
      lost.delete(id)
      frame.postMessage({ end: id })
      port.close()
    }
  }
}
