import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { type Provider, provider, type Route, type Use } from '../provider/provider.ts'

/** The providers that the owner has named, in the order in which they are asked. */
export function createProviders(db: DatabaseSync) {
  const all = new Map<string, Provider>()
  const rows = db.prepare('SELECT name, provider AS text FROM providers').all() as {
    name: string
    text: string
  }[]
  for (const { name, text } of rows) all.set(name, provider.parse(JSON.parse(text)))
  const put = db.prepare('INSERT OR REPLACE INTO providers (name, provider) VALUES (?, ?)')
  const remove = db.prepare('DELETE FROM providers WHERE name = ?')
  const list = (): { name: string; provider: Provider }[] =>
    [...all]
      .map(([name, provider]) => ({ name, provider }))
      .sort((a, b) => a.provider.rank - b.provider.rank || (a.name < b.name ? -1 : 1))
  return {
    list,
    put(name: string, value: Provider): void {
      put.run(name, JSON.stringify(z.encode(provider, value)))
      all.set(name, value)
    },
    /** false: there is none */
    remove(name: string): boolean {
      remove.run(name)
      return all.delete(name)
    },
    /** every way to have a model answer, the first to ask first; without `model`: any */
    routes: (use: Use, id?: string): Route[] =>
      list().flatMap(({ name, provider }) =>
        provider.models
          .filter(model => model.use === use && (id == null || model.id === id))
          .map(model => ({ name, provider, model }))
      )
  }
}

export type Providers = ReturnType<typeof createProviders>
