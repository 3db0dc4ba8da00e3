import { NONCE_BYTES } from './command.ts'

const GOOD_FOR_MS = 60_000
/** Given and not used; the oldest go first. */
const MAX_GIVEN = 1_000

/** What this node gives to who wants to command it: it says that a command is of now, whatever any clock says. */
export function createNonces(monoMs: () => number = () => performance.now()) {
  const given = new Map<string, { device: string; at: number }>()
  return {
    give(device: string): Uint8Array {
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
      if (given.size >= MAX_GIVEN) given.delete(given.keys().next().value as string)
      given.set(Buffer.from(nonce).toString('hex'), { device, at: monoMs() })
      return nonce
    },
    /** Whether it is one that was given for this device a moment ago; it is used with that. */
    use(nonce: Uint8Array | undefined, device: string): boolean {
      if (nonce == null) return false
      const key = Buffer.from(nonce).toString('hex')
      const found = given.get(key)
      given.delete(key)
      return found != null && found.device === device && monoMs() - found.at <= GOOD_FOR_MS
    }
  }
}

export type Nonces = ReturnType<typeof createNonces>
