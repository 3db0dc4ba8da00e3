import pg from 'pg'
import { isSignedBy } from '../../../ledger/index.ts'
import { openChains } from '../../../services/devices/delivery/chains.ts'
import { createFolderDisk } from '../../../services/devices/log/disk.ts'
import { chainsIn, folderOf } from '../../../services/devices/log/folders.ts'
import { createMirror } from '../../../services/devices/mirror/mirror.ts'

/* Mirrors the logs of a folder until it kills itself: `killed-mirror.ts FOLDER URL POINT`. */

const [folder, url, at] = process.argv.slice(2) as [string, string, string]

/** Each query has three: before it, once it is sent, and once it is answered. */
let left = Number(at)
function point(): void {
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
}

const { query } = pg.Client.prototype as unknown as { query(...values: unknown[]): Promise<unknown> }
Object.assign(pg.Client.prototype, {
  async query(...values: unknown[]) {
    point()
    const answer = query.apply(this, values)
    point()
    const result = await answer
    point()
    return result
  }
})

const chains = await openChains({
  self: 'nobody',
  isSigned: isSignedBy,
  disk: chain => createFolderDisk(folderOf(folder, chain)),
  there: await chainsIn(folder),
  onFound: (_, what) => {
    throw new Error(what)
  }
})
const mirror = createMirror(url, chains)
await mirror.catchUp(new AbortController().signal)
await mirror.close()
await chains.close()
