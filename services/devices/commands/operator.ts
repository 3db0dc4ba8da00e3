import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  ConflictError,
  ForbiddenError,
  type Nonces,
  type Signature,
  UnreachableError
} from '../../host/index.ts'
import type { Signer } from '../context.ts'
import type { WantedCommand } from '../contract.ts'
import { CommandError, UnknownCommandError, UnknownDeviceError } from '../errors.ts'
import type { Peers } from '../messages.ts'
import {
  COMMAND_DOMAIN,
  type Command,
  decodeCommand,
  encodeCommand,
  type Outcome,
  overlong,
  type SignedCommand
} from './command.ts'
import type { Execute } from './execute.ts'

const MINUTE_MS = 60_000
/** A second signer has so long. */
const PROPOSED_MS = 15 * MINUTE_MS
const MAX_PROPOSALS = 100
const AGAIN_MS = 1_000

/** A command that waits for its second signer. */
export interface Proposal {
  command: Command
  /** the node of the other signer: who is to sign, or who has asked */
  peer: string
}

/** `via`: the member that brought it, whose word this is until the log is here; undefined: the node itself says so. */
export type Brought = Outcome & { via?: string }

export interface OperatorInit {
  self: string
  fleet: string
  peers: Peers
  execute: Execute
  nonces: Nonces
  /** nodes that have this device */
  agentsOf(device: string): string[]
  /** members that are here and may reach a node which this one cannot, best first */
  carriers(agent: string): string[]
  /** whether a node may ask this one to sign */
  mayPropose(peer: string): boolean
  sign: Signer
  now(): number
  /** another proposal is here, or one is gone */
  changed(): void
}

/** The other end of commands: signs them, finds a second signer where one is needed, brings them. */
export function createOperator(init: OperatorInit) {
  const { self, fleet, peers, execute, nonces, sign, now, changed } = init
  /** what this node has asked others to sign, and what it is asked; by id */
  const asked = new Map<string, Proposal>()
  const toSign = new Map<string, Proposal>()

  function keep(proposals: Map<string, Proposal>, proposal: Proposal): void {
    tidy()
    if (proposals.size >= MAX_PROPOSALS)
      throw new ConflictError(`${MAX_PROPOSALS} commands wait for a second signer; sign them, or wait`)
    proposals.set(proposal.command.id, proposal)
    changed()
  }

  function tidy(): void {
    for (const proposals of [asked, toSign])
      for (const [id, { command }] of proposals) if (command.expires < now()) proposals.delete(id)
  }

  function agentOf({ device, agent }: Pick<WantedCommand, 'device' | 'agent'>): string {
    const found = agent == null ? init.agentsOf(device) : [agent]
    if (found.length > 1)
      throw new ConflictError(`${device} is known of ${found.length} nodes; name one of ${found.join(', ')}`)
    if (found[0] == null)
      throw new UnknownDeviceError(`no node is known that has ${device}; name it, see devices fleet`)
    return found[0]
  }

  /** Asks a node, or members that may reach it where this one cannot. */
  async function reach<T>(
    agent: string,
    ask: () => Promise<T>,
    askCarrier: (carrier: string) => Promise<T>,
    signal: AbortSignal
  ): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof UnreachableError)) throw error
      const whys = [error.message]
      for (const carrier of init.carriers(agent))
        try {
          return await askCarrier(carrier)
        } catch (failed) {
          signal.throwIfAborted()
          whys.push(`${carrier}: ${(failed as Error).message}`)
        }
      throw new UnreachableError(whys.join('; '))
    }
  }

  async function carry(carrier: string, command: SignedCommand, signal: AbortSignal): Promise<Brought> {
    const { is, ...rest } = await peers.ask(carrier, 'carry', command, { signal })
    if (is === 'waiting') throw new UnreachableError('it cannot reach it either, and keeps trying')
    return { is, ...rest, via: carrier }
  }

  /** What the node beside the device gives, and how much it risks. */
  async function prepare(agent: string, device: string, name: string, signal: AbortSignal) {
    if (agent !== self)
      return reach(
        agent,
        () => peers.ask(agent, 'nonce', { device, name }, { signal }),
        carrier => peers.ask(carrier, 'carryNonce', { agent, device, name }, { signal }),
        signal
      )
    const risk = execute.riskOf(device, name)
    if (risk == null) throw new UnknownDeviceError(`${device} is not here, or does not know "${name}"`)
    return { nonce: nonces.give(device), risk }
  }

  const signed = (bytes: Uint8Array): Signature => ({
    signer: self,
    signature: sign(COMMAND_DOMAIN, bytes)
  })

  /** Tries until it is there: the same command is done once. */
  async function bring(
    agent: string,
    command: SignedCommand,
    expires: number,
    signal: AbortSignal
  ): Promise<Brought> {
    if (agent === self) return execute.execute(command)
    for (;;) {
      try {
        return await reach<Brought>(
          agent,
          () => peers.ask(agent, 'perform', command, { signal }),
          carrier => carry(carrier, command, signal),
          signal
        )
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof UnreachableError) || now() > expires) throw error
        await delay(AGAIN_MS, undefined, { signal })
      }
    }
  }

  return {
    /**
     * One command of this node. `proposed`: it waits for its second signer.
     *
     * @throws {UnknownDeviceError} @throws {ConflictError} @throws {CommandError}
     */
    async command(
      { device, name, args, agent: named, second, minutes }: WantedCommand,
      by: string,
      signal: AbortSignal
    ): Promise<{ id: string } & (Brought | { is: 'proposed' })> {
      const agent = agentOf({ device, ...(named == null ? {} : { agent: named }) })
      const id = randomUUID()
      const issued = now()
      const { nonce, risk } = await prepare(agent, device, name, signal)
      const command: Command = {
        ...{ fleet, id, issuer: self, by, agent, device, name, args, issued },
        expires: issued + minutes * MINUTE_MS
      }
      if (risk < 3) {
        const bytes = encodeCommand({ ...command, nonce })
        return {
          id,
          ...(await bring(agent, { bytes, signatures: [signed(bytes)] }, command.expires, signal))
        }
      }
      if (second == null || second === self)
        throw new ConflictError(
          `"${name}" of ${device} needs a second signer; name the node that is to sign too`
        )
      const proposed = { ...command, expires: issued + PROPOSED_MS }
      keep(asked, { command: proposed, peer: second })
      try {
        await peers.ask(second, 'propose', { bytes: encodeCommand(proposed) }, { signal })
      } catch (error) {
        asked.delete(id)
        throw error
      }
      return { id, is: 'proposed' }
    },

    /** Another node wants this one to sign too. */
    propose(bytes: Uint8Array, peer: string): void {
      if (!init.mayPropose(peer)) throw new ForbiddenError('your node is none that commands in this fleet')
      const command = decodeCommand(bytes)
      if (command.issuer !== peer || command.nonce != null || command.fleet !== fleet)
        throw new ForbiddenError('this is no command of yours in this fleet')
      const why = overlong(command, now())
      if (why != null) throw new CommandError(`${command.id} is not kept until it is signed: ${why}`)
      tidy()
      // who approves one has read it: no other takes its place
      if (toSign.has(command.id)) throw new ConflictError(`a command ${command.id} waits here already`)
      keep(toSign, { command, peer })
    },

    /** Signs what another node proposed, and brings it. */
    async approve(id: string, signal: AbortSignal): Promise<Brought> {
      tidy()
      const proposal = toSign.get(id)
      if (proposal == null) throw new UnknownCommandError(`no command "${id}" waits for this node to sign`)
      const { command, peer } = proposal
      const { agent, device, name, expires } = command
      const { nonce } = await prepare(agent, device, name, signal)
      const bytes = encodeCommand({ ...command, nonce })
      const { signature } = await peers.ask(peer, 'countersign', { bytes }, { signal })
      toSign.delete(id)
      changed()
      const signatures = [{ signer: peer, signature }, signed(bytes)]
      return bring(agent, { bytes, signatures }, expires, signal)
    },

    /** The second signer has a nonce for what this node proposed: exactly that is signed, once. */
    countersign(bytes: Uint8Array, peer: string): Uint8Array {
      tidy()
      const { nonce, ...command } = decodeCommand(bytes)
      const proposal = asked.get(command.id)
      const isThat =
        proposal?.peer === peer &&
        nonce != null &&
        Buffer.compare(encodeCommand(command), encodeCommand(proposal.command)) === 0
      if (!isThat) throw new ForbiddenError('this node has not proposed that command to yours')
      asked.delete(command.id)
      changed()
      return sign(COMMAND_DOMAIN, bytes)
    },

    /** It is not signed. */
    dismiss(id: string): void {
      if (!toSign.delete(id) && !asked.delete(id))
        throw new UnknownCommandError(`no command "${id}" waits for a signer`)
      changed()
    },

    proposals(): { isOwn: boolean; peer: string; command: Command }[] {
      tidy()
      return [asked, toSign].flatMap((proposals, i) =>
        [...proposals.values()].map(each => ({ ...each, isOwn: i === 0 }))
      )
    }
  }
}

export type Operator = ReturnType<typeof createOperator>
