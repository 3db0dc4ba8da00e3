import { PollRefusedError } from '../errors.ts'
import { machineIdOf, metersOf, metersPoll, readPoll } from '../frames.ts'
import type { Machine } from '../machine/machine.ts'
import type { Turn } from '../machine/turn.ts'
import { PENDING } from '../tables/aft.ts'
import { whyNot } from './allow.ts'
import { centsOf, textOf } from './amount.ts'
import type { MoneyFile } from './file.ts'
import {
  bonusPoll,
  handpayResetPoll,
  isAbout,
  type Registration,
  registrationOf,
  registrationPoll,
  type TRANSFER_TYPES,
  type TransferStatus,
  transferPoll,
  transferStatusOf,
  transferStatusPoll
} from './frames.ts'
import type { Journal, Payment } from './journal.ts'
import type { Does, Order } from './order.ts'
import { type Ending, endingOf, settle } from './settle.ts'

const IDENTIFY = 0x54
/** Which meter grows by what is paid; nothing says where a handpay is counted when it is reset. */
const METER_OF: Readonly<Record<Does, number>> = { transfer: 0x17, collect: 0x18, bonus: 0x02, handpay: 0x23 }
const ID_DIGITS = 20
const MOST_LISTED = 200

export interface PaymentsInit {
  /** what the owner's file says now */
  file(): Promise<MoneyFile | { why: string }>
  journal: Journal
  machines(): readonly Machine[]
  now(): number
  /** ms of a clock that nobody sets */
  uptime(): number
}

export type PayAnswer = { is: 'open' } | Ending

/** Carries out orders that move money: each once, and what a crash cuts in the middle is asked for, never sent again. */
export function createPayments({ file: readFile, journal, machines, now, uptime }: PaymentsInit) {
  /** `uptime` when this process first looked at an order: what the clock says may be anything */
  const seen = new Map<string, number>()

  const machineOf = (serial: string): Machine | undefined =>
    machines().find(({ state }) => state.serial === serial && state.isUp)

  function ageOf({ id }: Payment): number {
    if (!seen.has(id)) seen.set(id, uptime())
    return uptime() - seen.get(id)!
  }

  /** What became of an order that was tried. @throws {PollRefusedError} another order was tried under its id */
  function tried(order: Order): PayAnswer | undefined {
    const found = journal.find(order.id)
    if (found?.hash != null && found.hash !== order.hash)
      throw new PollRefusedError(`another order was tried under the id ${order.id}; order again`)
    return found && (found.ending ?? { is: 'open' })
  }

  /** What the owner's file says, where all is right now. @throws {PollRefusedError} */
  async function demand(order: Order): Promise<MoneyFile> {
    const file = await readFile()
    if ('why' in file) throw new PollRefusedError(file.why)
    const why = whyNot(order, {
      file,
      machine: machineOf(order.machine)?.state,
      today: journal.today(),
      open: journal.openOf(order.machine),
      now: now()
    })
    if (why != null) throw new PollRefusedError(why)
    return file
  }

  return {
    /**
     * Never throws what the machine did: that is the outcome. The same order again has the same outcome.
     *
     * @throws {PollRefusedError} something is not right; nothing was sent
     */
    async pay(order: Order, signal: AbortSignal): Promise<PayAnswer> {
      const before = tried(order)
      if (before != null) return before
      // what is not right takes no turn of the machine
      await demand(order)
      const machine = machineOf(order.machine)!
      try {
        return await machine.turn(
          // it may have waited for its turn
          async turn => carryOut({ turn, order, machine, file: await demand(order), journal, signal }),
          signal
        )
      } catch (error) {
        signal.throwIfAborted()
        // where it was tried, the machine is asked until it is known
        const meanwhile = tried(order)
        if (meanwhile == null) throw error
        return meanwhile
      }
    },

    find: journal.find,

    /** One look at what has no end yet. */
    async look(signal: AbortSignal): Promise<void> {
      await Promise.all(
        journal
          .open()
          .map(payment =>
            machineOf(payment.machine)?.turn(turn => lookAt(turn, payment, journal, ageOf(payment)), signal)
          )
      )
      const open = new Set(journal.open().map(({ id }) => id))
      for (const id of seen.keys()) if (!open.has(id)) seen.delete(id)
    },

    list: () => journal.newest(MOST_LISTED),

    /** A person has looked at the machine, and says how it ended. @throws {PollRefusedError} */
    async decide(id: string, ending: Ending): Promise<void> {
      const found = journal.find(id)
      if (found == null) throw new PollRefusedError(`there is no order ${id}; see sas payments`)
      if (found.ending?.is !== 'unknown')
        throw new PollRefusedError(
          `order ${id} is ${found.ending?.is ?? 'under way'}: nobody has to decide it`
        )
      await machines()
        .find(each => placeOf(each) === found.place)
        ?.note('money', { ...bodyOf(found), ...ending, isDecided: true })
      journal.end(id, ending)
    }
  }
}

/** In the machine's turn: looks at everything once more, writes down what is tried, and sends it once. */
async function carryOut({
  turn,
  order,
  machine,
  file,
  journal,
  signal
}: {
  turn: Turn
  order: Order
  machine: Machine
  file: MoneyFile
  journal: Journal
  signal: AbortSignal
}): Promise<PayAnswer> {
  const { address } = turn
  const { hash, signers } = order
  const cents = centsOf(order.amount)!
  const refused = (why: string): Error => new PollRefusedError(why)
  const id = await turn.long(readPoll(address, IDENTIFY))
  if (id == null || machineIdOf(address, id).serial.trim() !== order.machine)
    throw refused(`the machine does not say that it is ${order.machine}`)
  const known = file.machines[order.machine]
  const registration = known && { asset: known.asset, key: Buffer.from(known.key, 'hex') }
  const isTransfer = order.does !== 'handpay' && (order.does !== 'bonus' || registration != null)
  if (isTransfer && registration == null)
    throw refused(`${order.machine} has no asset number and key in the file of this node`)
  if (isTransfer && !(await isRegistered(turn, registration!)))
    throw refused(`${order.machine} is not registered with this asset number and key`)
  const status = isTransfer ? (await statusOf(turn))?.status : undefined
  if (isTransfer && status == null) throw refused(`${order.machine} does not say how its last transfer is`)
  if (status === PENDING) throw refused(`${order.machine} has a transfer under way`)
  if (turn.creditCents == null) throw refused(`${order.machine} does not say what a credit is worth`)
  const credits = cents / BigInt(turn.creditCents)
  const rest = cents % BigInt(turn.creditCents)
  if (credits === 0n || (rest !== 0n && order.does !== 'bonus'))
    throw refused(`${order.amount} is not a number of whole credits of ${textOf(BigInt(turn.creditCents))}`)
  const meter = await meterOf(turn, order.does)
  if (meter == null) throw refused(`${order.machine} does not say its meters`)
  if (order.does === 'handpay' && !machine.isHandpayPending)
    throw refused(`${order.machine} has not said that a handpay waits`)

  const paid = credits * BigInt(turn.creditCents)
  const message = messageOf(address, order, { id: transferIdOf(hash), credits, paid, registration })
  const note = (ending: { is: string; why?: string }): Promise<unknown> =>
    turn.note('money', {
      ...bodyOf({ ...order, cents: Number(paid) }),
      ...(rest === 0n ? {} : { left: textOf(rest) }),
      ...ending
    })
  const answer = await turn.once(message, async () => {
    // nobody waits for it any more
    signal.throwIfAborted()
    // of another machine meanwhile; nothing waits between this look and what is written
    if (journal.openOf(order.machine) != null || journal.today() + cents > centsOf(file.perDay)!)
      throw new PollRefusedError('another order came first; order again')
    journal.begin({
      id: order.id,
      hash,
      machine: order.machine,
      place: placeOf(machine),
      does: order.does,
      cents: Number(cents),
      credits: Number(credits),
      signers: [...signers],
      before: { status, meter: Number(meter) }
    })
    await note({ is: 'tried' })
  })
  const ending = endingOf(address, answer, transferIdOf(hash))
  if (ending != null) {
    await note(ending)
    journal.end(order.id, ending)
    return ending
  }
  const said = answer && transferStatusOf(address, answer)
  if (said?.status === PENDING && isAbout(said, transferIdOf(hash)) !== false) journal.taken(order.id)
  return { is: 'open' }
}

const bodyOf = ({
  id,
  does,
  cents,
  signers
}: Pick<Order, 'id' | 'does' | 'signers'> & { cents: number }) => ({
  id,
  does,
  amount: textOf(BigInt(cents)),
  by: [...signers]
})

const placeOf = ({ state }: Machine): string => `${state.line}#${state.address}`

const transferIdOf = (hash: string): string => hash.slice(0, ID_DIGITS)

function messageOf(
  address: number,
  { does }: Order,
  {
    id,
    credits,
    paid,
    registration
  }: { id: string; credits: bigint; paid: bigint; registration: Registration | undefined }
): Uint8Array {
  if (does === 'handpay') return handpayResetPoll(address)
  if (registration == null) return bonusPoll(address, credits)
  return transferPoll(address, {
    type: does as keyof typeof TRANSFER_TYPES,
    cents: paid,
    id,
    ...registration
  })
}

async function isRegistered(turn: Turn, { asset, key }: Registration): Promise<boolean> {
  const frame = await turn.long(registrationPoll(turn.address))
  if (frame == null || frame.length === 1) return false
  const found = registrationOf(turn.address, frame)
  return found.asset === asset && Buffer.from(found.key).equals(key)
}

async function statusOf(turn: Turn): Promise<TransferStatus | undefined> {
  const frame = await turn.long(transferStatusPoll(turn.address))
  return frame == null || frame.length === 1 ? undefined : transferStatusOf(turn.address, frame)
}

async function meterOf(turn: Turn, does: Does): Promise<bigint | undefined> {
  const code = METER_OF[does]
  const frame = await turn.long(metersPoll(turn.address, 0, [code]))
  if (frame == null || frame.length === 1) return undefined
  return metersOf(turn.address, 0x2f, frame).meters.find(each => each.code === code)?.value
}

/** Asks the machine how an order ended that has no end yet. */
async function lookAt(turn: Turn, payment: Payment, journal: Journal, ageMs: number): Promise<void> {
  // another machine may stand there now
  if (turn.serial !== payment.machine) return
  const { id, hash, does, before, credits } = payment
  const said = before.status == null ? undefined : await statusOf(turn)
  if (before.status != null && said == null) return
  // the same poll twice would be a repeat; and what it says of the end is heard
  await turn.hear()
  const meter = await meterOf(turn, does)
  if (meter == null) return
  const found = journal.find(id)!
  const ending = settle({
    does,
    status: said?.status,
    before: before.status,
    isOurs: said && isAbout(said, hash && transferIdOf(hash)),
    credits: BigInt(credits),
    grown: grownOf(BigInt(before.meter), meter),
    isTaken: found.isTaken,
    heard: found.heard,
    ageMs
  })
  if (ending == null) return
  await turn.note('money', { ...bodyOf(payment), ...ending })
  journal.end(id, ending)
}

export type Payments = ReturnType<typeof createPayments>

const METER_MODULUS = 100_000_000n
const grownOf = (before: bigint, now: bigint): bigint => (now - before + METER_MODULUS) % METER_MODULUS
