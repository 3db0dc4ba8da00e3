import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { Queue, QueueFullError } from '@libp2p/utils'
import { TooManyRequestsError } from '../errors.ts'

/**
 * Argon2id as node:crypto has it (OpenSSL): off the event loop, and no package to install. The cost is the second
 * recommendation of RFC 9106, section 4: 64 MiB, three passes, four lanes; 0.2 s on a desktop of 2026.
 */
export interface Cost {
  memoryKiB: number
  passes: number
  lanes: number
}
const COST: Cost = { memoryKiB: 64 * 1024, passes: 3, lanes: 4 }
const SALT_BYTES = 16
const TAG_BYTES = 32
/** One at a time in each queue: 128 MiB and two of the four threads that files need as well. */
const PARALLEL = 1
/** About 20 s of waiting. Whoever comes then is told to come again. */
const MAX_WAITING = 100
/** the PHC string format */
const FORM = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/

/** The two queues: who is known here (a session, or a browser that signed in before) never waits behind strangers. */
type Queued = 'known' | 'stranger'

export interface Passwords {
  hash(password: string, queued: Queued): Promise<string>
  /**
   * Whether it is the password. Takes the same time for `kept` undefined, where it is false.
   *
   * @throws {TooManyRequestsError} too many wait already
   */
  verify(password: string, kept: string | undefined, queued: Queued): Promise<boolean>
  /** A key of it that is no hash of it: what verifies the password opens nothing. */
  key(password: string, salt: Uint8Array, queued: Queued): Promise<Uint8Array>
  /** whether a hash was made at a lower cost than today's */
  isOld(kept: string): boolean
}

const derive = promisify(argon2)

export function createPasswords(cost: Cost = COST): Passwords {
  const queues = {
    known: new Queue<Buffer>({ concurrency: PARALLEL, maxSize: MAX_WAITING }),
    stranger: new Queue<Buffer>({ concurrency: PARALLEL, maxSize: MAX_WAITING })
  }
  const nobody = write(cost, randomBytes(SALT_BYTES), randomBytes(TAG_BYTES))

  async function run(parameters: Argon2Parameters, queued: Queued): Promise<Buffer> {
    try {
      return await queues[queued].add(() => derive('argon2id', parameters))
    } catch (err) {
      if (!(err instanceof QueueFullError)) throw err
      throw new TooManyRequestsError('too many people sign in at this moment; try again in 20 s')
    }
  }

  return {
    async hash(password, queued) {
      const salt = randomBytes(SALT_BYTES)
      return write(cost, salt, await run(parametersOf(password, salt, cost), queued))
    },
    async verify(password, kept, queued) {
      const { cost, salt, tag } = read(kept ?? nobody)
      const got = await run(parametersOf(password, salt, cost), queued)
      return timingSafeEqual(got, tag) && kept != null
    },
    async key(password, salt, queued) {
      return new Uint8Array(await run(parametersOf(password, salt, cost), queued))
    },
    isOld(kept) {
      const { cost: then } = read(kept)
      return then.memoryKiB * then.passes < cost.memoryKiB * cost.passes
    }
  }
}

function parametersOf(password: string, nonce: Uint8Array, cost: Cost): Argon2Parameters {
  const { memoryKiB: memory, passes, lanes: parallelism } = cost
  // the same letters are the same bytes, however the keyboard composes them
  return { message: password.normalize('NFKC'), nonce, memory, passes, parallelism, tagLength: TAG_BYTES }
}

const plain = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '')

function write({ memoryKiB, passes, lanes }: Cost, salt: Uint8Array, tag: Uint8Array): string {
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${plain(salt)}$${plain(tag)}`
}

function read(text: string): { cost: Cost; salt: Buffer; tag: Buffer } {
  const [, m, t, p, salt, tag] = FORM.exec(text) ?? []
  if (tag == null) throw new TypeError('a password is kept in a form that is not $argon2id$v=19$')
  return {
    cost: { memoryKiB: Number(m), passes: Number(t), lanes: Number(p) },
    salt: Buffer.from(salt!, 'base64'),
    tag: Buffer.from(tag, 'base64')
  }
}
