import { randomBytes } from 'node:crypto'
import {
  admits,
  type Call,
  type HostOf,
  type Input,
  type Output,
  RequestError,
  toWire
} from '../../host/index.ts'
import {
  COMMAND_DOMAIN,
  COMMAND_MS,
  encodeCommand,
  NONCE_BYTES,
  openCommand,
  type Signed
} from '../core/command.ts'
import { declaration } from '../declaration.ts'
import { ForbiddenError, UsageError } from '../errors.ts'
import type { Database } from '../store/database.ts'
import { createAnswered } from './answered.ts'
import { ENVELOPE_BYTES } from './messages.ts'

type All = (typeof declaration)['operations']
/** What can be asked of another host. */
export type Distant = Exclude<
  {
    [K in keyof All]: Input<All[K]> extends Record<string, never>
      ? never
      : 'host' extends keyof Input<All[K]>
        ? K
        : never
  }[keyof All],
  // the port is one of this computer
  'forward'
>

/**
 * What a host does for whoever is known to be `owner`. `signed` gives the command as its owner signed it, to show to
 * others.
 */
export type Here = {
  [K in Distant]: (owner: string, input: Input<All[K]>, signed: () => Signed) => Promise<Output<All[K]>>
}

const { operations } = declaration
const USUAL_MS = 30_000
const FORGET_EVERY_MS = 60_000

/** Operations that are done here or, as signed commands, by the host that their input names. */
export function createCommands(host: HostOf<typeof declaration>, database: Database, here: Here) {
  const { self } = host.peers
  const answered = createAnswered(database)

  function sign(to: string, name: string, args: Record<string, unknown>): Signed {
    const nonce = randomBytes(NONCE_BYTES)
    const expires = host.now() + COMMAND_MS
    const envelope = encodeCommand({ host: to, caller: self, nonce, expires, name, args })
    if (envelope.length > ENVELOPE_BYTES)
      throw new UsageError(`the command has ${envelope.length} bytes; at most ${ENVELOPE_BYTES}`)
    return { envelope, signature: host.sign(COMMAND_DOMAIN, envelope) }
  }

  function operation<K extends Distant>(name: K) {
    return async (
      input: Input<All[K]>,
      {
        signal,
        deadlineMs = operations[name].deadlineMs ?? USUAL_MS
      }: Pick<Call, 'signal'> & { deadlineMs?: number }
    ): Promise<Output<All[K]>> => {
      const { host: to = self, ...rest } = input as { host?: string }
      // as it is on the wire: nothing but what JSON has
      const args = JSON.parse(toWire(rest))
      if (to === self) return here[name](self, input, () => sign(self, name, args))
      const answer = await host.peers.ask(to, 'command', sign(to, name, args), {
        signal,
        deadlineMs
      })
      return operations[name].output.parse(answer) as Output<All[K]>
    }
  }

  /** Looking changes nothing: asked again it is looked again, and no answer is kept. */
  const isLook = (name: Distant, args: Record<string, unknown>) =>
    operations[name].http.method === 'GET' || (name === 'console' && args.input === undefined)

  return {
    sign,
    operations: Object.fromEntries(
      Object.keys(here).map(name => [name, operation(name as Distant)])
    ) as unknown as { [K in Distant]: ReturnType<typeof operation<K>> },

    /** Does the command of a peer, or gives the answer that it had. */
    async answer(signed: Signed, { peer }: { peer: string }): Promise<unknown> {
      const command = openCommand(signed, self, host.now(), (caller, bytes, signature) =>
        host.isSigned(caller, COMMAND_DOMAIN, bytes, signature)
      )
      // whoever overhears a command can do nothing with it
      if (command.caller !== peer || !admits('allowed', command.caller, host.config))
        throw new ForbiddenError('the command was refused: it is not yours')
      const { name, args } = command
      if (!Object.hasOwn(here, name))
        throw new UsageError(`no command ${JSON.stringify(name)} can be asked of a host`)
      const distant = name as Distant
      const input = operations[distant].input.safeParse({ ...args, host: undefined })
      if (!input.success) throw new RequestError(input.error.issues[0]!.message)
      const work = async () =>
        JSON.parse(toWire(await here[distant](command.caller, input.data as never, () => signed)))
      return isLook(distant, args) ? work() : answered.once(command, signed, work)
    },

    start() {
      host.repeat('answers', FORGET_EVERY_MS, () => answered.forget(host.now()))
    }
  }
}
