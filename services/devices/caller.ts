import type { Caller } from '../host/index.ts'

/** Who at this node asks, for logs and people. Pure. */
export const nameOfCaller = (caller: Caller): string =>
  caller.is === 'grant'
    ? (caller.grant.account?.name ?? caller.grant.id)
    : caller.is === 'peer'
      ? caller.peer
      : caller.is
