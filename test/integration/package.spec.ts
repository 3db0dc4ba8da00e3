import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, symlinkSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url))
const LEFT = ['.git', 'node_modules', 'dist', 'test/screenshots'].map(name => join(CHECKOUT, name))
const TSC = join(CHECKOUT, 'node_modules/.bin/tsc')
const run = promisify(execFile)
const MB = 2 ** 20

describe('integration: the npm package', function () {
  // an installation of 350 packages
  this.timeout(600_000)
  let folder: string
  /** a copy: while it is packed, its manifest and libraries are others for whoever runs from it */
  let root: string
  let registry: Server
  let project: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-package-'))
    project = join(folder, 'project')
    root = join(folder, 'checkout')
    cpSync(CHECKOUT, root, { recursive: true, filter: source => !LEFT.includes(source) })
    symlinkSync(join(CHECKOUT, 'node_modules'), join(root, 'node_modules'))
    await run('mkdir', [project])
    await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root, env: env() })
    registry = await serve(join(folder, (await readdir(folder)).find(name => name.endsWith('.tgz'))!))
    await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }')
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          module: 'nodenext',
          target: 'es2024',
          lib: ['esnext', 'dom', 'dom.iterable'],
          strict: true,
          skipLibCheck: false,
          types: [],
          outDir: 'out'
        }
      })
    )
    const { port } = registry.address() as AddressInfo
    const args = ['install', 'artel', '--prefer-offline', '--no-audit', '--no-fund']
    await run('npm', [...args, `--registry=http://127.0.0.1:${port}/`, '--replace-registry-host=never'], {
      cwd: project,
      env: env()
    })
  })
  after(async () => {
    registry?.close()
    registry?.closeAllConnections()
    await rm(folder, { recursive: true, force: true })
  })

  /** The Node of this process comes first; the user's own settings stay out. */
  const env = () => ({
    ...process.env,
    PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
    ARTEL_DATA: join(folder, 'data')
  })

  it('leaves the checkout as it was', async () => {
    for (const made of ['dist', 'npm-shrinkwrap.json', '.package.json.checkout'])
      assert.ok(!existsSync(join(root, made)), made)
    assert.equal(
      JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).bin.artel,
      'node/cli/artel.js'
    )
  })

  it('holds no test, no benchmark and no source', async () => {
    const files = await readdir(join(project, 'node_modules/artel'), { recursive: true })
    const own = files.filter(file => !file.startsWith('node_modules'))
    assert.deepEqual(
      own.filter(file => /\.spec\.|benchmarks?\/|(?<!\.d)\.tsx?$/.test(file)),
      []
    )
  })

  it('installs what the lock file says: no React Native, and less than 260 MB', async () => {
    const files = await readdir(join(project, 'node_modules'), { recursive: true })
    assert.ok(!files.some(file => file.endsWith('node_modules/react-native')))
    const sizes = await Promise.all(
      files.map(async file => (await stat(join(project, 'node_modules', file))).size)
    )
    const total = sizes.reduce((sum, size) => sum + size, 0) / MB
    assert.ok(total < 260, `it takes ${total.toFixed(1)} MB`)
  })

  it('is typed, and runs a job in a node of its own', async () => {
    await writeFile(
      join(project, 'main.ts'),
      `import { connect, type Job } from 'artel/sdk'
       await using artel = await connect({ embedded: true })
       const job: Job<number> = artel.rangeReduce({ start: 1, end: 1000, map: x => x * x })
       const words: number[] = await artel.map(['a', 'bb'], word => word.length)
       globalThis.console.log(JSON.stringify([await job, words]))\n`
    )
    // what the types do not allow: refused by the same run, for one reads all declarations
    await writeFile(
      join(project, 'wrong.ts'),
      `import { connect } from 'artel/sdk'
       const artel = await connect()
       const list: string[] = await artel.map([1], x => x + 1)
       export { list }\n`
    )
    await assert.rejects(run(TSC, [], { cwd: project }), ({ stdout }) => {
      assert.match(stdout, /^wrong\.ts.*'number'.*'string'/s)
      assert.deepEqual(stdout.match(/^\S.*error TS.*$/gm)?.length, 1, stdout)
      return true
    })
    const { stdout } = await run(process.execPath, ['out/main.js'], { cwd: project, env: env() })
    assert.equal(stdout.trim(), '[333833500,[1,2]]')
  })

  it('has the command', async () => {
    await writeFile(
      join(project, 'job.js'),
      `export default { type: 'map', items: [1, 2, 3], fn: x => x ** 2 }\n`
    )
    const artel = join(project, 'node_modules/.bin/artel')
    const { stdout } = await run(artel, ['run', 'job.js', '--quiet'], { cwd: project, env: env() })
    assert.deepEqual(JSON.parse(stdout), [1, 4, 9])
    const { stdout: version } = await run(artel, ['--version'], { cwd: project, env: env() })
    assert.equal(version.trim(), JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version)
  })
})

/** A registry that has this one package, and sends npm to its own registry for everything else. */
async function serve(tarball: string): Promise<Server> {
  const content = await readFile(tarball)
  const manifest = JSON.parse((await run('tar', ['xzOf', tarball, 'package/package.json'])).stdout)
  const upstream = (await run('npm', ['config', 'get', 'registry'])).stdout.trim()
  const integrity = `sha512-${createHash('sha512').update(content).digest('base64')}`
  const server = createServer((req, res) => {
    const { port } = server.address() as AddressInfo
    const dist = { tarball: `http://127.0.0.1:${port}/artel.tgz`, integrity }
    // a registry looks into the tarball when it is published
    const published = { ...manifest, _hasShrinkwrap: true, dist }
    if (req.url === '/artel.tgz') res.end(content)
    else if (req.url !== '/artel')
      res.writeHead(302, { location: new URL(req.url!.slice(1), upstream).href }).end()
    else
      res.setHeader('content-type', 'application/json').end(
        JSON.stringify({
          name: 'artel',
          'dist-tags': { latest: manifest.version },
          versions: { [manifest.version]: published }
        })
      )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return server
}
