import { renameSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/*
 * After `npm ci`: bundles the libraries that the program imports into dist/, one file for each with what they share beside
 * them; hook.js says why. Never lets the installation fail. Plain JavaScript, because npm may run it with a Node that strips no types.
 */

const at = path => fileURLToPath(new URL(path, import.meta.url))
const ROOT = at('../../')
const ENTRY = 'entry:'

/** They find files of their own beside them: native code, WebAssembly, pages, programs of workers; or nobody runs them at a start. */
const LEFT_OUT =
  /^(isolated-vm|classic-level|serialport|koffi|rabin-wasm|pino|pino-pretty|@fastify\/swagger-ui|vite|@peculiar\/x509|reflect-metadata)($|\/)/

/** Names stay: errors are told apart by them, and stacks name functions. */
const WITHOUT_SPACES = { compress: false, mangle: false, codegen: { removeWhitespace: true } }

/** The libraries that the sources import, at once or later. */
async function imported(rolldown) {
  const found = new Set()
  const scan = await rolldown({
    input: at('../cli/main.ts'),
    platform: 'node',
    logLevel: 'silent',
    plugins: [
      {
        name: 'libraries',
        resolveId: {
          order: 'pre',
          handler(specifier, importer) {
            if (importer == null || /^([./]|node:)/.test(specifier)) return null
            found.add(specifier)
            return { id: specifier, external: true }
          }
        }
      }
    ]
  })
  await scan.generate({ format: 'esm' })
  await scan.close()
  return [...found].filter(specifier => !LEFT_OUT.test(specifier))
}

async function build({ rolldown }) {
  const libraries = await imported(rolldown)
  const bundle = await rolldown({
    input: Object.fromEntries(libraries.map(library => [library, ENTRY + library])),
    cwd: ROOT,
    platform: 'node',
    logLevel: 'silent',
    external: LEFT_OUT,
    plugins: [
      {
        name: 'english',
        // messages of zod in fifty languages, which nobody asks for: half a megabyte, and of letters that take two bytes each
        load: id =>
          /\/zod\/v4\/locales\/index\.js$/.test(id) ? `export { default as en } from './en.js'` : null
      },
      {
        name: 'entries',
        resolveId: specifier => (specifier.startsWith(ENTRY) ? `${ROOT}${specifier}.mjs` : null),
        async load(id) {
          if (!id.startsWith(ROOT + ENTRY)) return null
          const library = id.slice(ROOT.length + ENTRY.length, -'.mjs'.length)
          // as Node sees them: of a library in CommonJS it tells the names by reading it
          const names = Object.keys(await import(library)).filter(name => /^[\w$]+$/.test(name))
          return `export { ${names.join(', ')} } from '${library}'`
        }
      }
    ]
  })
  const made = at(`dist.${process.pid}/`)
  await bundle.write({ dir: made, format: 'esm', chunkFileNames: 'shared/[hash].js', minify: WITHOUT_SPACES })
  await bundle.close()
  rmSync(at('dist'), { recursive: true, force: true })
  renameSync(made, at('dist'))
}

try {
  await build(await import('rolldown'))
} catch (error) {
  const why =
    error.code === 'ERR_MODULE_NOT_FOUND' ? 'rolldown is not installed' : error.message.split('\n', 1)[0]
  process.stderr.write(`libraries: not bundled, a start takes longer; ${why}\n`)
}
