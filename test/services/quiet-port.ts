import { once } from 'node:events'
import { createServer } from 'node:net'

/** Linux gives connections and servers that ask for any port one from 32768 on. */
const [FIRST, LAST] = [20_000, 32_000]

/** A port that is free, and stays so while nobody listens there: nobody gets it who does not ask for it. */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
