import { openDatabase } from '../../../services/host/index.ts'
import { relayOf } from '../../../services/tv/place.ts'
import { openRelay } from '../../../services/tv/relay.ts'
import { MIGRATIONS } from '../../../services/tv/schema.ts'

/* A process that cuts the power of tv-1 and stays, to be killed: CHIP FILE SECONDS. */
const [chip, file, seconds] = process.argv.slice(2)
const relay = await openRelay({
  place: relayOf(`tv-1 ${chip}:17`)!,
  db: openDatabase(file!, MIGRATIONS),
  minOffSeconds: 1,
  now: Date.now
})
await relay.off(Number(seconds))
setInterval(() => undefined, 1000)
