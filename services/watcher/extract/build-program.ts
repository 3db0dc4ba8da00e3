import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = import.meta.dirname
export const PROGRAM_FILE = join(FOLDER, 'dist', 'program.js')

/** Bundles program.ts with its libraries into one text that defines `answer`, unless that is there and newer. */
export async function buildProgram(): Promise<void> {
  if (existsSync(PROGRAM_FILE) && statSync(PROGRAM_FILE).mtimeMs > newestSource()) return
  const { build } = await import('vite')
  const built = await build({
    root: FOLDER,
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      lib: { entry: join(FOLDER, 'program.ts'), formats: ['iife'], name: 'answer' },
      rolldownOptions: {
        output: { minify: true },
        transform: { inject: { atob: [join(FOLDER, 'atob.ts'), 'atob'] } }
      }
    }
  })
  const [first] = [built].flat()
  if (first == null || !('output' in first)) throw new Error('vite has built nothing')
  mkdirSync(join(FOLDER, 'dist'), { recursive: true })
  // whoever reads it at the same time reads the old one or the new one
  const made = `${PROGRAM_FILE}.${process.pid}`
  writeFileSync(made, first.output[0].code)
  renameSync(made, PROGRAM_FILE)
}

function newestSource(): number {
  const sources = readdirSync(FOLDER).filter(name => name.endsWith('.ts'))
  return Math.max(...sources.map(name => statSync(join(FOLDER, name)).mtimeMs))
}
