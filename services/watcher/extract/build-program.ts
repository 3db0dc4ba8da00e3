import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const FOLDER = import.meta.dirname
export const PROGRAM_FILE = join(FOLDER, 'dist', 'program.js')
const BUILD_MS = 120_000

/**
 * Bundles program.ts with its libraries into one text that defines `answer`, unless that is there and newer. In a process
 * that ends with it: where a bundler ran, it leaves 140 MB.
 *
 * @param signal ends that process
 */
export async function buildProgram(signal?: AbortSignal): Promise<void> {
  if (existsSync(PROGRAM_FILE) && statSync(PROGRAM_FILE).mtimeMs > newestSource()) return
  const bundling = `import(${JSON.stringify(import.meta.url)}).then(({ bundle }) => bundle())`
  await promisify(execFile)(process.execPath, ['-e', bundling], { timeout: BUILD_MS, signal })
}

/** For the process that `buildProgram` starts. */
export async function bundle(): Promise<void> {
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
