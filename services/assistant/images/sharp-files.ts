import { existsSync, globSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Where the library is: its entry, its native module, and the folders that it reads. */
export interface SharpFiles {
  entry: string
  addons: string[]
  files: string[]
}

/** Undefined where it is not installed: it has 19 MB that few need; a published package leaves it to its owner. */
export function findSharp(): SharpFiles | undefined {
  let entry: string
  try {
    entry = createRequire(import.meta.url).resolve('sharp')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    return undefined
  }
  const modules = dirname(dirname(dirname(entry)))
  const platform = `${process.platform}-${process.arch}`
  const native = join(modules, `@img/sharp-${platform}`)
  const needed = ['sharp', 'detect-libc', 'semver', '@img/colour', `@img/sharp-libvips-${platform}`]
  return {
    entry,
    addons: globSync(join(native, 'lib', '*.node')),
    files: [native, ...needed.map(name => join(modules, name))].filter(folder => existsSync(folder))
  }
}
