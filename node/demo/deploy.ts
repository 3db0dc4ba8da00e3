import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { table } from '../cli/output.ts'
import { InputError } from '../errors.ts'
import type { Demo } from './contract.ts'
import { until } from './stage.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DEPLOY = join(ROOT, 'bootstrap/deploy')
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'
const PROGRAMS = ['buildah', 'podman', 'runc', 'systemd-analyze']
const MB = 2 ** 20
const STEP_MS = 15 * 60_000
const START_MS = 120_000
/** What orchestrators give a container between SIGTERM and SIGKILL. */
const STOP_S = 30
const JOB = { type: 'range_reduce', start: 1, end: 1_000_000, map: 'x => x * x', operation: 'sum' }
/** n (n + 1) (2n + 1) / 6 */
const SUM = '333333833333500000'
/** As compose.yaml and kubernetes.yaml run it; some machines let a container raise no limit. */
const HARDENED = [
  ...['--cap-drop', 'all', '--read-only', '--tmpfs', '/tmp'],
  ...['--security-opt', 'no-new-privileges'],
  ...['--security-opt', `seccomp=${join(DEPLOY, 'artel-seccomp.json')}`],
  ...['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'],
  '--no-healthcheck'
]

interface Row {
  what: string
  right: boolean
  detail: string
  ms: number
}

/** A base image with nothing but Debian, Node and npm: no registry of images is asked. */
const BASE = `FROM scratch
ADD root.tar /
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/npm
COPY ca-certificates.crt ${CERTIFICATES}
ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES}
RUN ln -s ../lib/npm/bin/npm-cli.js /usr/local/bin/npm && npm --version
`

/** The image is built from the packed package; a seed and two workers run from it, behind all walls. */
export const deploy: Demo = {
  summary: 'an image is built from the packed package; a seed and two workers run from it and compute a job',
  flags: { base: '' },
  async run({ folder, say }, { base }) {
    const rows: Row[] = []
    const report: Record<string, unknown> = {}
    const tag = `localhost/artel-demo-${process.pid}`
    const containers: string[] = []
    const images: string[] = []

    const run = async (command: string, args: string[], input?: string): Promise<string> => {
      const running = promisify(execFile)(command, args, {
        cwd: ROOT,
        timeout: STEP_MS,
        maxBuffer: 64 * MB,
        killSignal: 'SIGKILL'
      })
      running.child.stdin?.end(input)
      return (await running).stdout.trim()
    }
    const buildah = (args: string[]): Promise<string> =>
      run('buildah', ['bud', '--isolation', 'chroot', '--format', 'docker', '--network', 'host', ...args])
    const podman = (args: string[], input?: string): Promise<string> =>
      run('podman', ['--runtime', 'runc', ...args], input)
    const start = async (name: string, args: string[]): Promise<string> => {
      containers.push(`${name}-${process.pid}`)
      return podman(['run', '--detach', '--name', containers.at(-1)!, ...HARDENED, tag, ...args])
    }
    async function step(
      what: string,
      work: () => Promise<{ right: boolean; detail: string }>
    ): Promise<void> {
      say(`${what} …`)
      const startedAt = performance.now()
      const { right, detail } = await work()
      rows.push({ what, right, detail, ms: Math.round(performance.now() - startedAt) })
    }
    /** One line of JSON, as `artel start --json` says it when it is ready. */
    async function ready(container: string): Promise<{ id: string; walled: boolean }> {
      let line: string | undefined
      await until(
        `${container} to be ready`,
        async () => {
          line = (await podman(['logs', container]))
            .split('\n')
            .find(each => each.includes('"event":"ready"'))
          return line != null
        },
        START_MS
      )
      return JSON.parse(line!)
    }

    const missing = missingOf(base === '' ? ['mmdebstrap', ...PROGRAMS] : PROGRAMS)
    if (missing.length > 0)
      throw new InputError(
        `this demo needs ${missing.join(', ')}; on Debian: apt-get install --no-install-recommends ${missing.join(' ')}`
      )
    try {
      await step('units, compose file, manifest and profile follow their schemas', async () => {
        const mocha = join(ROOT, 'node_modules/mocha/bin/mocha.js')
        const spec = join(ROOT, 'test/bootstrap/deploy.spec.ts')
        const told = await run(process.execPath, [mocha, spec, '--reporter', 'json'])
        const { stats } = JSON.parse(told.slice(told.indexOf('{')))
        return { right: stats.failures === 0 && stats.passes > 0, detail: `${stats.passes} checks` }
      })
      await step('the package is packed', async () => {
        await run('npm', ['pack', '--silent', '--pack-destination', folder])
        const name = (await readdir(folder)).find(file => file.endsWith('.tgz'))!
        await mkdir(join(folder, 'image'))
        await copyFile(join(folder, name), join(folder, 'image/artel.tgz'))
        return { right: true, detail: name }
      })
      if (base === '')
        await step('a base is made of Debian packages', async () => {
          const context = join(folder, 'base')
          await mkdir(context)
          const packages = '--include=bubblewrap,ca-certificates'
          await run('mmdebstrap', ['--variant=minbase', packages, 'bookworm', join(context, 'root.tar')])
          await copyFile(process.execPath, join(context, 'node'))
          await copyFile(CERTIFICATES, join(context, 'ca-certificates.crt'))
          const npm = dirname(dirname(process.env.npm_execpath!))
          await run('cp', ['-r', npm, join(context, 'npm')])
          await writeFile(join(context, 'Dockerfile'), BASE)
          images.push(`${tag}-base`)
          await buildah(['--tag', `${tag}-base`, context])
          report.baseMb = await sizeMb(`${tag}-base`)
          return { right: true, detail: `${report.baseMb} MB` }
        })
      await step('the image is built', async () => {
        const cache = process.env.npm_config_cache
        images.push(tag)
        await buildah([
          ...['--build-arg', `BASE=${base === '' ? `${tag}-base` : base}`, '--tag', tag],
          ...(cache == null ? [] : ['--volume', `${cache}:/tmp/npm`]),
          ...['--file', join(DEPLOY, 'Dockerfile'), join(folder, 'image')]
        ])
        report.imageMb = await sizeMb(tag)
        return { right: true, detail: `${report.imageMb} MB` }
      })

      let seed: { id: string; walled: boolean }
      await step('a seed and two workers start from it, every wall stands', async () => {
        const begun = performance.now()
        await start('seed', ['seed', '--json'])
        seed = await ready(containers[0]!)
        report.startMs = Math.round(performance.now() - begun)
        const format = '{{.NetworkSettings.IPAddress}}'
        const ip = await podman(['inspect', '--format', format, containers[0]!])
        const address = `/ip4/${ip}/tcp/4411/p2p/${seed.id}`
        for (const name of ['worker-1', 'worker-2']) await start(name, ['start', '--json', '--seed', address])
        const workers = [await ready(containers[1]!), await ready(containers[2]!)]
        const right = [seed, ...workers].every(({ walled }) => walled)
        return { right, detail: `as user ${await podman(['exec', containers[0]!, 'id', '--user'])}` }
      })
      await step('the health check of the image says so', async () => {
        // what HEALTHCHECK runs; here no systemd runs it every 30 s
        const check = "fetch('http://127.0.0.1:8080/health').then(({ ok }) => process.exit(ok ? 0 : 1))"
        await podman(['exec', containers[0]!, 'node', '-e', check])
        return { right: true, detail: 'GET /health' }
      })
      await step('a job is computed over them', async () => {
        const { report: told, result } = JSON.parse(
          await podman(
            ['exec', '--interactive', containers[0]!, 'artel', 'run', '-', '--json'],
            JSON.stringify(JOB)
          )
        )
        report.workers = told.shares.length
        return { right: String(result) === SUM, detail: `${result}, ${told.shares.length} nodes worked` }
      })
      await step(`SIGTERM ends each within ${STOP_S} s with 0`, async () => {
        const codes: string[] = []
        for (const container of containers.toReversed()) {
          await podman(['stop', '--time', String(STOP_S), container])
          codes.push(await podman(['inspect', '--format', '{{.State.ExitCode}}', container]))
        }
        return { right: codes.every(code => code === '0'), detail: `exit codes ${codes.join(', ')}` }
      })
    } finally {
      // what is not there is no fault
      for (const container of containers)
        await podman(['rm', '--force', '--volumes', '--ignore', container]).catch(error => say(error.message))
      for (const image of images.toReversed())
        await run('buildah', ['rmi', '--force', image]).catch(error => say(error.message))
    }
    return {
      right: rows.every(({ right }) => right),
      report: { ...report, steps: rows },
      text: table(
        ['STEP', '', 'MS', 'DETAIL'],
        rows.map(({ what, right, ms, detail }) => [what, right ? 'right' : 'WRONG', ms, detail])
      )
    }

    async function sizeMb(image: string): Promise<number> {
      const [found] = JSON.parse(await podman(['image', 'inspect', image]))
      return Math.round(found.Size / 1e6)
    }
  }
}

/** Those of these programs that are nowhere on PATH. */
function missingOf(names: string[]): string[] {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return names.filter(name => !folders.some(each => existsSync(join(each, name))))
}
