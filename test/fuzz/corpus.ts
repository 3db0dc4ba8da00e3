import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decoders } from './decoders.ts'
import { guests } from './guests.ts'
import { http } from './http.ts'
import { services } from './services.ts'
import type { Target } from './target.ts'

export const targets: Record<string, () => Target | Promise<Target>> = {
  ...decoders,
  ...services,
  ...guests,
  http
}

/** What once did harm. */
export function corpusOf(name: string): { file: string; bytes: Uint8Array }[] {
  const folder = join(import.meta.dirname, 'corpus', name)
  return globSync('*.bin', { cwd: folder }).map(file => ({ file, bytes: readFileSync(join(folder, file)) }))
}
