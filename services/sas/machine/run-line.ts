import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { LineError } from '../errors.ts'
import { type GuardedLine, guarded } from '../line/guard.ts'
import { createLine } from '../line/line.ts'
import type { Line } from '../poller.ts'
import type { Machine } from './machine.ts'

const FIRST_WAIT_MS = 1_000
const LAST_WAIT_MS = 30_000

export interface LineLoopInit {
  name: string
  open(signal: AbortSignal): Promise<Duplex>
  answerMs: number
  /** least ms between two rounds of polls */
  pollMs(): number
  mayControl(): boolean
  /** the machines on it, once there is a line to ask */
  machines(line: GuardedLine): Promise<Machine[]>
  /** what does not work now; undefined: it does */
  onState(what: string, why: string | undefined): void
  signal: AbortSignal
}

/** Polls the machines of one line in turn, and opens it again when it is gone. Never throws; ends with the signal. */
export async function runLine(init: LineLoopInit): Promise<void> {
  const { name, signal, onState } = init
  let errors = 0
  let wire: Line | undefined
  const line = guarded(
    {
      get errors() {
        return errors + (wire?.errors ?? 0)
      },
      ask(message, until) {
        if (wire == null) throw new LineError(`${name} is not open`)
        return wire.ask(message, until)
      }
    },
    init.mayControl
  )
  const machines = await init.machines(line)
  let waitMs = FIRST_WAIT_MS
  while (!signal.aborted) {
    try {
      const transport = await init.open(signal)
      using opened = createLine({ name, transport, answerMs: init.answerMs })
      wire = opened
      onState(name, undefined)
      for (;;) {
        const start = performance.now()
        for (const machine of machines) await round(machine)
        waitMs = FIRST_WAIT_MS
        await delay(Math.max(0, init.pollMs() - (performance.now() - start)), undefined, { signal })
      }
    } catch (error) {
      if (signal.aborted) return
      onState(name, (error as Error).message)
      errors += wire?.errors ?? 0
      wire = undefined
      for (const machine of machines) await attempt(() => machine.lose())
      await delay(waitMs, undefined, { signal }).catch(() => undefined /* the loop ends */)
      waitMs = Math.min(2 * waitMs, LAST_WAIT_MS)
    }
  }

  async function round(machine: Machine): Promise<void> {
    const { address } = machine.state
    try {
      await machine.step(signal)
      if (machines.length > 1) await machine.settle(signal)
      onState(`${name}:${address}`, undefined)
    } catch (error) {
      if (error instanceof LineError || signal.aborted) throw error
      // the log takes nothing: the machine keeps it, and is asked again
      onState(`${name}:${address}`, (error as Error).message)
    }
  }

  async function attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      onState(name, (error as Error).message)
    }
  }
}
