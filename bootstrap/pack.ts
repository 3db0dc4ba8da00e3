import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/*
 * Around `npm pack`: Node strips no types below node_modules, so the package holds JavaScript and declarations in dist/, and
 * a manifest that points there. The checkout runs from its sources, before and afterwards. `prepack` builds, `postpack` puts everything back.
 */

const file = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))
const MANIFEST = file('package.json')
const KEPT = file('.package.json.checkout')
const SHRINKWRAP = file('npm-shrinkwrap.json')
const DIST = file('dist')
const UI = 'services/gateway/ui/dist'
const PAGE_READER = 'services/watcher/extract'
const SERIAL = /\/koffi-linux-(x64|arm64)$/
const ONNX = 'onnxruntime-web'
const ONNX_FILES = ['ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm']

interface LockFile {
  packages: Record<string, { dev?: boolean; os?: string[]; devDependencies?: unknown }>
}

type Target = string | { [condition: string]: Target }

const [step] = process.argv.slice(2)
if (step === 'prepack') prepack()
else if (step === 'postpack') postpack()
else throw new Error(`usage: node bootstrap/pack.ts prepack|postpack, got ${step}`)

function prepack(): void {
  postpack() // of a run that was interrupted
  execFileSync('tsc', ['-p', file('tsconfig.build.json')], { stdio: 'inherit' })
  const manifest = JSON.parse(readFileSync(MANIFEST, 'utf8'))
  // the version that the program names, and that its files are modules; the rest is said by the manifest above
  writeJson(file('dist/package.json'), { type: 'module', version: manifest.version })
  const build = `import('./${PAGE_READER}/build-program.ts').then(({ buildProgram }) => buildProgram())`
  execFileSync(process.execPath, ['--eval', build], { cwd: file('.'), stdio: 'inherit' })
  cpSync(file(`${PAGE_READER}/dist`), file(`dist/${PAGE_READER}/dist`), { recursive: true })
  execFileSync(process.execPath, [file('node/vendor/build.mjs')], { stdio: 'inherit' })
  cpSync(file('node/vendor/dist'), file('dist/node/vendor/dist'), { recursive: true })
  shipOnnx()
  if (existsSync(file(UI))) cpSync(file(UI), file(`dist/${UI}`), { recursive: true })

  // npm asks no dependency for its `overrides`, but a package of a registry for its shrinkwrap. It would install from it the
  // binaries for every platform (130 MB); they belong to WebRTC, which we never load, but for those that set parity.
  const lock = JSON.parse(readFileSync(file('package-lock.json'), 'utf8')) as LockFile
  delete lock.packages['']!.devDependencies
  for (const [path, { dev, os }] of Object.entries(lock.packages)) {
    if (dev === true || (os != null && !SERIAL.test(path))) delete lock.packages[path]
  }
  writeJson(SHRINKWRAP, lock)

  const { scripts, devDependencies, allowScripts, ...published } = manifest
  published.bin = { artel: built(manifest.bin.artel) }
  published.exports = Object.fromEntries(
    Object.entries<Target>(manifest.exports).map(([name, target]) => [name, compiled(target)])
  )
  renameSync(MANIFEST, KEPT)
  writeJson(MANIFEST, published)
}

/** The two files of onnxruntime-web that are used: those who install the package need not have its other 125 MB. */
function shipOnnx(): void {
  const { name, version, license } = JSON.parse(
    readFileSync(file(`node_modules/${ONNX}/package.json`), 'utf8')
  )
  for (const each of ONNX_FILES)
    cpSync(file(`node_modules/${ONNX}/dist/${each}`), file(`dist/sandbox/${ONNX}/dist/${each}`))
  writeJson(file(`dist/sandbox/${ONNX}/package.json`), { name, version, license })
}

function postpack(): void {
  if (existsSync(KEPT)) renameSync(KEPT, MANIFEST)
  for (const made of [DIST, SHRINKWRAP]) rmSync(made, { recursive: true, force: true })
}

/** A source → its JavaScript and its declarations, under every condition. */
function compiled(target: Target): Target {
  if (typeof target === 'string') {
    const path = built(target)
    return { types: path.replace(/\.js$/, '.d.ts'), default: path }
  }
  return Object.fromEntries(Object.entries(target).map(([condition, each]) => [condition, compiled(each)]))
}

function built(source: string): string {
  return source.replace(/^(\.\/)?/, '$1dist/').replace(/\.ts$/, '.js')
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)
}
