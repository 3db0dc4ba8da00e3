import { FakeDaemon } from './fake-daemon.ts'
import { FakeMains } from './fake-mains.ts'
import { FakeTv } from './fake-tv.ts'

/*
 * Simulated TVs in a process of their own: COUNT. The first one has its power through a relay at gpiochip0:1. Asked over
 * IPC { id, do, … } it answers { id, result }.
 */
const count = Number(process.argv[2])
await using mains = new FakeMains()
const daemons = Array.from(
  { length: count },
  (_, i) => new FakeDaemon({ isOpen: true, tv: new FakeTv({ serial: `tv-${i + 1}` }) })
)
const addresses = await Promise.all(daemons.map(each => each.listen()))
mains.wire(daemons[0]!, 'gpiochip0', 1)

interface Asked {
  id: number
  do: 'addresses' | 'state' | 'setVolume' | 'environment' | 'relay'
  tv?: number
  volume?: number
}
const answers: Record<Asked['do'], (asked: Asked) => unknown> = {
  addresses: () => addresses,
  environment: () => mains.environment,
  /** calls of gpioset, and who holds the line now */
  relay: () => ({ calls: mains.calls(), holder: mains.holder('gpiochip0', 1) }),
  setVolume({ tv, volume }) {
    daemons[tv!]!.tv.volume = volume!
  },
  state: () =>
    daemons.map(({ tv }) => ({
      isOn: tv.isOn,
      hasPower: tv.hasPower,
      volume: tv.volume,
      source: tv.source,
      playback: tv.playback,
      keys: tv.keys,
      shown: tv.shownHashes,
      escapes: tv.escapes
    }))
}
process.on('message', (asked: Asked) => process.send!({ id: asked.id, result: answers[asked.do](asked) }))
const orphaned = (): never => process.exit(1)
process.on('disconnect', orphaned)
process.send!({ ready: true })
await new Promise(resolve => process.once('SIGTERM', resolve))
await Promise.all(daemons.map(each => each[Symbol.asyncDispose]()))
process.off('disconnect', orphaned)
process.disconnect()
