import { basename } from 'node:path'
import { type Candidate, importFiles, readPath } from './add.ts'
import type { Context } from './context.ts'
import type { Added, AddOptions } from './contract.ts'
import { checkOwnName } from './names.ts'

const NAMELESS = 'file'
/** An add is one walk, also when it goes on after a restart. */
const PASS = 1

interface AddingRow {
  root: number
  path: string
  name: string
  wanted: number
}

/** Adding files: from a stream, or from a path, which goes on after a restart. */
export function createAdds({
  store,
  pins,
  files,
  room,
  transfers,
  settings,
  changed,
  now,
  signal,
  log
}: Context) {
  const { run, all, atomically } = store.db

  async function importInto(
    root: number,
    candidates: AsyncIterable<Candidate>,
    options: AddOptions
  ): Promise<Added> {
    const { name, replicas, size, onProgress } = options
    const stop = options.signal == null ? signal : AbortSignal.any([signal, options.signal])
    const letGo = store.keep(root)
    try {
      const imported = await transfers.show(
        { what: 'add', file: name ?? NAMELESS, total: size },
        onProgress,
        grow =>
          importFiles(candidates, async (cid, bytes) => {
            stop.throwIfAborted()
            const isNew = store.note(root, cid, bytes.length, PASS)
            if (isNew || !(await files.has(cid))) {
              await room.forOwn(bytes.length)
              if (!(await files.has(cid))) await files.put(cid, bytes)
            }
            grow(bytes.length)
          })
      )
      const kept = atomically(() => {
        const kept = store.finish(root, imported, now())
        pins.pin(kept.id, replicas ?? pins.find(kept.id)?.wanted ?? settings().replicas, now())
        run('DELETE FROM adding WHERE root = ?', root)
        return kept
      })
      const named = name == null ? undefined : store.addName(name, kept.cid, now())
      changed(kept.cid)
      return { ...imported, ...(named == null ? {} : { name: named.name, version: named.version }) }
    } finally {
      letGo()
      // what was here before under the same CID stays in its place
      if (store.rootById(root)?.cid == null && !isAdding(root)) await store.sweep(root)
    }
  }

  const isAdding = (root: number): boolean =>
    store.db.get('SELECT 1 FROM adding WHERE root = ?', root) != null

  async function importPath({ root, path, name, wanted }: AddingRow, options: AddOptions): Promise<Added> {
    try {
      return await importInto(root, readPath(path, name), { ...options, name, replicas: wanted })
    } catch (error) {
      // at the end of the node it is only broken off
      if (!signal.aborted) await store.sweep(root)
      throw error
    }
  }

  return {
    async add(bytes: AsyncIterable<Uint8Array>, options: AddOptions = {}): Promise<Added> {
      const name = options.name == null ? NAMELESS : checkOwnName(options.name)
      const one = (async function* (): AsyncGenerator<Candidate> {
        yield { path: name, content: bytes }
      })()
      return importInto(store.begin(now()), one, options)
    },

    async addPath(path: string, options: AddOptions = {}): Promise<Added> {
      const row: AddingRow = {
        root: store.begin(now()),
        path,
        name: checkOwnName(options.name ?? basename(path)),
        wanted: options.replicas ?? settings().replicas
      }
      run(
        'INSERT INTO adding (root, path, name, wanted) VALUES (?, ?, ?, ?)',
        row.root,
        path,
        row.name,
        row.wanted
      )
      return importPath(row, options)
    },

    /** After a restart: goes on with paths, and lets go of streams that nobody sends any more. */
    async resume(): Promise<void> {
      for (const { id } of all<{ id: number }>(
        'SELECT id FROM root WHERE cid IS NULL AND NOT EXISTS (SELECT 1 FROM adding WHERE root = id)'
      ))
        await store.sweep(id)
      for (const row of all<AddingRow>('SELECT * FROM adding')) {
        try {
          await importPath(row, {})
        } catch (error) {
          if (signal.aborted) return
          log.error('%s is not added: %s', row.path, (error as Error).message)
        }
      }
    }
  }
}
