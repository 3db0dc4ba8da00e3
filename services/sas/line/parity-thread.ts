import { parentPort, workerData } from 'node:worker_threads'
import koffi from 'koffi'
import { LineError } from '../errors.ts'
import { type ByParity, PARITIES, type Run } from './parity.ts'
import { checkParities, type Libc, sendRuns } from './send-runs.ts'

/*
 * Sends the messages of one line, in a thread of its own: each is one piece that nothing of the node comes between, and
 * the node goes on meanwhile. Takes runs or 'end', and tells how each went.
 */

export interface ParityInit {
  fd: number
  name: string
  baudRate: number
  by: ByParity
}
export type ParityNews =
  | { is: 'ready'; isRealTime: boolean }
  | { is: 'sent'; isLate: boolean }
  | { is: 'failed'; why: string }

/** before all that is not of its class, but not what it starts itself */
const SCHED_RR = 2 | 0x40000000
const LOWEST = Buffer.from([1, 0, 0, 0])

const { fd: theirs, name, baudRate, by } = workerData as ParityInit
const say = (news: ParityNews): void => parentPort!.postMessage(news)
const told = (work: () => ParityNews): void => {
  try {
    say(work())
  } catch (error) {
    say({ is: 'failed', why: (error as Error).message })
  }
}

const c = koffi.load(null)
const libc = {
  tcgetattr: c.func('int tcgetattr(int fd, void *termios)'),
  tcsetattr: c.func('int tcsetattr(int fd, int when, const void *termios)'),
  write: c.func('intptr_t write(int fd, const void *bytes, size_t count)'),
  usleep: c.func('int usleep(unsigned int us)')
} satisfies Libc
const sched_setscheduler = c.func('int sched_setscheduler(int pid, int policy, const void *param)')
const close = c.func('int close(int fd)')
// its own: the number may be that of another file once the port is closed
const fd: number = c.func('int dup(int fd)')(theirs)

parentPort!.on('message', (message: Run[] | 'end') => {
  if (message !== 'end')
    return told(() => ({ is: 'sent', ...sendRuns(libc, { fd, name, baudRate }, message) }))
  close(fd)
  parentPort!.close()
})
told(() => {
  if (fd < 0) throw new LineError(`${name} is gone`)
  checkParities(libc, fd, name, PARITIES[by])
  // of this thread alone
  return { is: 'ready', isRealTime: sched_setscheduler(0, SCHED_RR, LOWEST) === 0 }
})
