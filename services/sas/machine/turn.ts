import type { Device } from './devices.ts'

/** What can be done with a machine while it is its turn. */
export interface Turn {
  line: string
  address: number
  /** of its device */
  serial: string
  /** what a credit is worth, in hundredths of the currency; undefined: it has not said so */
  creditCents: number | undefined
  /** The frame that answers a long poll, or undefined: not supported, or not there. */
  long(message: Uint8Array): Promise<Uint8Array | undefined>
  /** The next exception; what was answered before is taken for heard. False where nobody answers. */
  hear(): Promise<boolean>
  /**
   * Sends what moves money: `intent` resolves when it is on the disk that it is tried, before one byte goes out. It goes
   * out once. Undefined: no answer that can be believed.
   *
   * @throws {UnknownMachineError} the machine does not answer now; nothing was sent
   */
  once(message: Uint8Array, intent: () => Promise<unknown>): Promise<Uint8Array | undefined>
  /** Writes an event of the machine into the log. */
  note(kind: 'command' | 'money' | 'listener', body: Parameters<Device['event']>[1]): Promise<unknown>
}
