import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CID } from 'multiformats/cid'
import { type Candidate, importFiles } from '../../../services/files/add.ts'
import { type BlockFiles, openBlockFiles } from '../../../services/files/block-files.ts'
import { MIGRATIONS } from '../../../services/files/schema.ts'
import { createStore, type Store } from '../../../services/files/store.ts'

/** Blocks and rows in a temporary folder. */
export interface Local extends AsyncDisposable {
  folder: string
  files: BlockFiles
  store: Store
  get(cid: CID): Promise<Uint8Array>
  /** adds without a node: CID of the root */
  add(candidates: Candidate[]): Promise<string>
}

export async function openLocal(): Promise<Local> {
  const folder = await mkdtemp(join(tmpdir(), 'artel-files-'))
  const files = await openBlockFiles(join(folder, 'blocks'))
  const db = new DatabaseSync(join(folder, 'files.sqlite'))
  db.exec('PRAGMA journal_mode = WAL')
  for (const migration of MIGRATIONS) db.exec(migration)
  const store = createStore(db, files)
  return {
    folder,
    files,
    store,
    get: cid => files.get(cid),
    add: async candidates => (await importFiles(candidates, (cid, bytes) => files.put(cid, bytes))).cid,
    async [Symbol.asyncDispose]() {
      db.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

export async function* text(content: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content)
}

export const parse = (cid: string): CID => CID.parse(cid)
