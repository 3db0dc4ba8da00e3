import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

/** Smaller files are not worth a second one. */
const MIN_COMPRESSED_BYTES = 1024

/** Writes .br and .gz beside every text file, so that the node spends no time on it. */
function precompress(): Plugin {
  let folder = ''
  return {
    name: 'precompress',
    apply: 'build',
    configResolved({ root, build }) {
      folder = resolve(root, build.outDir)
    },
    closeBundle() {
      if (!existsSync(folder)) return
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        const path = join(folder, name)
        if (!/\.(js|css|html|svg)$/.test(name) || statSync(path).size < MIN_COMPRESSED_BYTES) continue
        const bytes = readFileSync(path)
        const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }))
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
      }
    }
  }
}

const MESSENGER_HEAD = `<title>Local Messenger</title>
    <meta name="application-name" content="Local Messenger" />
    <meta name="theme-color" content="#0f7476" />
    <link rel="manifest" href="./messenger.webmanifest" />
    <link rel="apple-touch-icon" href="./messenger-192.png" />`

/**
 * The messenger by itself is the same program on a page of its own: a second entry would cut what both share into fifty
 * files. It opens without the node, so its worker is told of which files it consists.
 */
const messengerApp: Plugin = {
  name: 'messenger-app',
  apply: 'build',
  writeBundle({ dir = '' }, bundle) {
    const page = readFileSync(join(dir, 'index.html'), 'utf8').replace(/<title>.*<\/title>/, MESSENGER_HEAD)
    const files = new Set(['messenger.html', 'favicon.svg', 'messenger.webmanifest'])
    function add(name: string): void {
      if (files.has(name)) return
      files.add(name)
      const chunk = bundle[name]
      if (chunk?.type !== 'chunk') return
      for (const each of [...chunk.imports, ...(chunk.viteMetadata?.importedCss ?? [])]) add(each)
    }
    for (const chunk of Object.values(bundle)) {
      const of = chunk.type === 'chunk' ? (chunk.facadeModuleId ?? '') : ''
      if (/\/(ui\/(index\.html|src\/messenger-shell\.tsx)|messenger\/page\/index\.tsx)$/.test(of))
        add(chunk.fileName)
    }
    const list = JSON.stringify([...files].sort())
    const version = createHash('sha256').update(list).update(page).digest('hex').slice(0, 16)
    const worker = readFileSync(join(import.meta.dirname, 'messenger-worker.js'), 'utf8')
      .replace("['FILES']", list)
      .replace("'VERSION'", `'${version}'`)
    writeFileSync(join(dir, 'messenger.html'), page)
    writeFileSync(join(dir, 'messenger-worker.js'), worker)
  }
}

const TAB = resolve(import.meta.dirname, '../../../node/tab')
/** What the node in a tab takes in place of Node's modules; all others are where nothing of it comes by. */
const NODE_MODULES = {
  'node:crypto': join(TAB, 'node-crypto.ts'),
  'node:timers/promises': join(TAB, 'node-timers.ts')
}
/** Files of ours do nothing by being imported, but those that prepare the Worker: so it takes only what it uses of a room. */
const withoutLateRooms: Plugin = {
  name: 'without-late-rooms',
  transform: (code, id) =>
    /\/(ledger|scheduler)\/index\.ts$/.test(id)
      ? code.replaceAll(/import\(["']\.\/[^)]+\)/g, 'undefined')
      : undefined
}
const treeshake = {
  moduleSideEffects: (id: string) => id.includes('node_modules') || /\/(tab|ui)\//.test(id)
}

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  plugins: [react(), messengerApp, precompress()],
  build: {
    target: 'es2022',
    // a data: URL in a style or script would need a wider policy for content
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1024,
    rolldownOptions: {
      input: {
        index: join(import.meta.dirname, 'index.html'),
        volunteer: join(import.meta.dirname, 'volunteer.html')
      }
    }
  },
  resolve: { alias: NODE_MODULES },
  worker: {
    format: 'es',
    plugins: () => [withoutLateRooms],
    rolldownOptions: {
      treeshake,
      output: { entryFileNames: 'assets/tab-[hash].js', chunkFileNames: 'assets/tab-[hash].js' }
    }
  }
})
