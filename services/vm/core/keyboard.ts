import { BusyError } from '../errors.ts'

/** Who types into a console, until he has been silent for a while. */
export interface Keyboard {
  holder: string
  /** ms since 1970 */
  until: number
}

export const HOLD_MS = 30_000

/** Who holds it now. */
export function holderOf(keyboard: Keyboard | undefined, now: number): string | undefined {
  return keyboard !== undefined && now < keyboard.until ? keyboard.holder : undefined
}

/** It after `who` has typed. @throws BusyError while somebody else holds it and it is not taken over */
export function typedBy(
  keyboard: Keyboard | undefined,
  who: string,
  now: number,
  { takesOver }: { takesOver: boolean }
): Keyboard {
  const holder = holderOf(keyboard, now)
  if (holder !== undefined && holder !== who && !takesOver)
    throw new BusyError(
      `somebody else types into this console; wait until he has been silent for ${HOLD_MS / 1_000} s, or take over`
    )
  return { holder: who, until: now + HOLD_MS }
}
