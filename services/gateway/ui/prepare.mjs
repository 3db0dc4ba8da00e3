import { existsSync, readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/*
 * After `npm ci`: builds the dashboard where that can be done, and never lets the installation fail. Plain JavaScript, because npm
 * may run it with a Node that strips no types.
 */

const at = path => fileURLToPath(new URL(path, import.meta.url))

/** ms of the newest file */
function newest(path) {
  if (!existsSync(path)) return 0
  const { mtimeMs } = statSync(path)
  if (!statSync(path).isDirectory()) return mtimeMs
  return Math.max(...readdirSync(path).map(name => newest(`${path}/${name}`)))
}

const SERVICES = '../..'
const SOURCES = [
  'src',
  'public',
  'index.html',
  'messenger-worker.js',
  'volunteer.html',
  'vite.config.ts',
  ...readdirSync(at(SERVICES)).map(name => `${SERVICES}/${name}/page`),
  '../../../node/tab',
  '../../../bootstrap',
  '../../../ledger',
  '../../../sandbox',
  '../../../scheduler',
  '../schema.ts',
  '../../../package-lock.json'
]

async function prepare() {
  let vite
  try {
    vite = await import('vite')
  } catch {
    return 'dashboard: not built, vite is not installed (npm ci without --omit=dev brings it)'
  }
  if (newest(at('dist/index.html')) > Math.max(...SOURCES.map(source => newest(at(source))))) return undefined
  try {
    await vite.build({ root: at('.'), configFile: at('vite.config.ts'), logLevel: 'silent' })
    return undefined
  } catch (err) {
    return `dashboard: not built, ${err.message.split('\n', 1)[0]} (npm run build:ui says more)`
  }
}

const message = await prepare()
if (message != null) process.stderr.write(`${message}\n`)
