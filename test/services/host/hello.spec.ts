import { deepEqual, match, ok } from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { OWNER, type ServiceModule } from '../../../services/index.ts'
import { startHost } from './start-host.ts'

const README = new URL('../../../services/README.md', import.meta.url)
const HOST = new URL('../../../services/host/index.ts', import.meta.url)
const MODULES = fileURLToPath(new URL('../../../node_modules/', import.meta.url))

describe('services: the service of the README', () => {
  it('in ten lines says hello', async () => {
    const [, text = ''] = /```ts\n(import [\s\S]*?)\n```/.exec(await readFile(README, 'utf8')) ?? []
    ok(text.trim().split('\n').length < 16, text)
    const folder = await mkdtemp(join(tmpdir(), 'artel-hello-'))
    try {
      await mkdir(join(folder, 'hello'))
      const file = join(folder, 'hello', 'index.ts')
      const here = text
        .replace("'../host/index.ts'", JSON.stringify(HOST.href))
        .replace("'zod'", JSON.stringify(pathToFileURL(join(MODULES, 'zod/index.js')).href))
      await writeFile(file, here)
      const { hello } = (await import(pathToFileURL(file).href)) as { hello: ServiceModule }
      await using host = await startHost({ modules: [hello] })
      const answer = await host.services.call('hello', 'greet', { name: 'Ann' }, { caller: OWNER })
      deepEqual(answer, { text: 'hello Ann' })
      match(host.services.health()[0]!.state, /^running$/)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
