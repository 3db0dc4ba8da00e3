import type { FromRequester, FromWorker } from './compute-messages.ts'

/** One requester's end of the compute protocol. */
export interface WorkerConnection {
  /** `spentMs`: what it took to read the message */
  receive(message: FromRequester, spentMs?: number): void
  /** The requester is gone: everything of it is dropped. */
  close(): void
}

/** The part of a node that works for others. */
export interface WorkerEnd {
  /** A requester connected: its first message is this node's offer. `own`: it is this node itself. */
  connect(id: string, send: (message: FromWorker) => void, own?: boolean): WorkerConnection
}
