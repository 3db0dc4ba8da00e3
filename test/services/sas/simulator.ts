import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createRandom } from '../../simulation/random.ts'
import { Machine } from './machine.ts'
import { openPty } from './pty.ts'
import { TcpWire } from './wire.ts'

/*
 * Machines on pseudo terminals, as a process of its own. Its parent sends { id, do, ... } and gets { id, result } or
 * { id, error }; it ends with its parent.
 */

const [folder, ...serials] = process.argv.slice(2) as [string, ...string[]]
const random = createRandom(1)
/** of every machine here: what a transfer must say */
const KEY = '00112233445566778899aabbccddeeff00112233'
/** machines wait for who does not listen, as their queues are short */
const ROOM = 15
const BILLS = [0x47, 0x48, 0x49]

const places = await Promise.all(
  serials.map(async (serial, i) => {
    const machine = new Machine({
      address: 1,
      serial,
      // long enough to be killed meanwhile
      transferMs: 2_000,
      registered: { asset: 100 + i, key: KEY }
    })
    // the second one goes past its last digit
    machine.add(0x00, i === 1 ? 99_999_900 : 1_000 * i)
    const wire = new TcpWire([machine], random)
    await wire.listen()
    const path = join(folder, `tty${i}`)
    return { wire, path, pty: await openPty(path, wire.port), machine }
  })
)
const all = places.map(({ machine }) => machine)

const actions: Record<string, (asked: any) => unknown> = {
  paths: () => places.map(({ path }) => path),
  async play({ place, games }: { place: number; games: number }) {
    for (let i = 0; i < games; i++) {
      const { machine } = places[place]!
      while (machine.waiting > ROOM) await delay(5)
      machine.play(1 + Math.floor(random() * 5), random() < 0.3 ? 1 + Math.floor(random() * 12) : 0)
      if (random() < 0.05) machine.bill(BILLS[Math.floor(random() * BILLS.length)]!)
    }
  },
  /** share of answers with a checksum that are spoilt */
  spoil({ share }: { share: number }) {
    for (const { wire } of places) wire.wrong = share
  },
  mute({ place, isMute }: { place: number; isMute: boolean }) {
    places[place]!.wire.isMute = isMute
  },
  swap({ place, serial }: { place: number; serial: string }) {
    const machine = new Machine({ address: 1, serial })
    machine.add(0x00, 50_000)
    all.push(machine)
    places[place]!.machine = machine
    places[place]!.wire.machines[0] = machine
  },
  state: () =>
    all.map(machine => ({
      serial: machine.serial,
      happened: machine.happened,
      waiting: machine.waiting,
      coinIn: Number(machine.meter(0x00)),
      coinOut: Number(machine.meter(0x01)),
      bills: Number(machine.meter(0x0b)),
      paid: machine.paid.length
    }))
}

process.on('message', async (asked: { id: number; do: string }) => {
  try {
    process.send!({ id: asked.id, result: await actions[asked.do]!(asked) })
  } catch (error) {
    process.send!({ id: asked.id, error: (error as Error).message })
  }
})
async function end(): Promise<void> {
  await Promise.all(places.flatMap(({ pty, wire }) => [pty, wire]).map(each => each[Symbol.asyncDispose]()))
  process.exit(0)
}
process.on('SIGTERM', () => void end())
process.on('disconnect', () => void end())
process.send!({ ready: true })
