import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OWNER, vm } from '../../../services/index.ts'
import { createTestDirectory, startHost } from '../host/start-host.ts'

type Host = Awaited<ReturnType<typeof startHost>>

const IDS = [
  ...[
    '../x',
    '../../../../etc/passwd',
    '/etc/passwd',
    '..',
    '.',
    '',
    ' ',
    "a'; DROP TABLE machines; --",
    'a"b',
    '`id`'
  ],
  ...[
    '$(touch /tmp/pwned)',
    'a\nb',
    'a\r\nb',
    'a\0b',
    '\0',
    'a b',
    '-rf',
    '--yes',
    '%00',
    '%2e%2e',
    '\u202eabc',
    'я',
    '💣'
  ],
  ...['__proto__', '\ud800', 'x'.repeat(64), 'x'.repeat(10_000_000)]
]
const FIGURES = [
  '-1',
  '0',
  '9223372036854775808',
  '-9223372036854775808',
  '1e9',
  '0x10',
  '١٦',
  '',
  'NaN',
  '99999999999999999999'
]
/** What the outside may read; anything else would be a fault of ours. */
const TYPED =
  /^(UsageError|RequestError|NotFoundError|ForbiddenError|StateError|StorageError|ExistsError|QemuError|AuthError)$/

/** What each role may, besides seeing that the machine is there. */
const MATRIX: [operation: string, input: object, roles: string][] = [
  ['show', {}, 'viewer operator owner'],
  ['events', {}, 'viewer operator owner'],
  ['snapshots', {}, 'viewer operator owner'],
  ['console', {}, 'viewer operator owner'],
  ['console', { input: 'x' }, 'operator owner'],
  ['power', { action: 'stop' }, 'operator owner'],
  ['power', { action: 'reboot' }, 'operator owner'],
  ['power', { action: 'pause' }, 'operator owner'],
  ['power', { action: 'resume' }, 'operator owner'],
  ['snapshot', { name: 's' }, 'operator owner'],
  ['rollback', { name: 's' }, 'operator owner'],
  ['forget', { name: 's' }, 'operator owner'],
  ['exec', { line: 'UPDATE_VM m 64 1' }, 'operator owner'],
  ['exec', { line: 'LOGOUT m' }, 'owner'],
  ['exec', { line: 'ADD_DISK d m 1' }, 'owner'],
  ['grants', {}, 'owner'],
  ['grant', { peer: 'somebody', role: 'viewer' }, 'owner'],
  ['clone', { newVm: 'copy' }, 'owner'],
  ['exec', { line: 'REMOVE_VM m --yes' }, 'owner']
]

describe('vm: hostile clients', () => {
  const stack = new AsyncDisposableStack()
  const lines: string[] = []
  let host: Host
  let client: Host
  const ask = <T = any>(node: Host, operation: string, input: object) =>
    node.services.call('vm', operation, input, { caller: OWNER }) as Promise<T>

  before(async () => {
    const directory = createTestDirectory()
    const settings = { vm: { allowedPeers: ['*'], allowTcg: true } }
    host = stack.use(await startHost({ modules: [vm], settings, directory, lines }))
    client = stack.use(await startHost({ modules: [vm], settings: { vm: {} }, directory }))
    await client.connect(host)
    await ask(host, 'exec', { line: 'AUTH m 64 1' })
    await ask(host, 'exec', { line: 'ADD_DISK own m 1' })
  })
  after(() => stack.disposeAsync())

  /** Files, rows, and what is beside the folder: nothing of it may change. */
  const everything = async () => ({
    // beside those that the host keeps of what it knows, when it has leisure
    files: (await readdir(host.folder, { recursive: true }))
      .filter(file => !/sqlite|changes-\d+\.json$|machine\.json/.test(file))
      .sort(),
    outside: (await readdir(tmpdir())).filter(name => name === 'pwned'),
    above: (await readdir(join(host.folder, '..'))).sort(),
    machines: (await ask(host, 'list', {})).machines,
    disks: (await ask(host, 'exec', { line: 'LIST_DISKS' })).text
  })

  /** The answer to what must not work: an error by name, one line, not too long. */
  async function refusal(node: Host, operation: string, input: object): Promise<void> {
    const shown = JSON.stringify(input).slice(0, 120)
    let given: { name: string; message: string }
    try {
      const answer = await ask(node, operation, input)
      const [, name, message] = /^ERR (\S+) (.*)$/s.exec(answer.text ?? '') ?? []
      assert.ok(name !== undefined, `${operation} ${shown} was answered ${JSON.stringify(answer)}`)
      given = { name, message: message! }
    } catch (error) {
      given = error as Error
    }
    assert.match(given.name, TYPED, `${operation} ${shown}: ${given.message.slice(0, 300)}`)
    assert.ok(given.message.length < 1_000, `${operation} ${shown} is answered at length`)
    assert.doesNotMatch(given.message, /\0|\n|\u202e|SELECT|INSERT|sqlite|\/services\/vm/i)
  }

  it('ids that are none reach no file, query or argument, whatever is asked with them', async () => {
    const before = await everything()
    const other = {
      action: 'start',
      name: 's',
      newVm: 'n',
      peer: 'p',
      role: 'viewer',
      disk: 'd',
      to: client.id
    }
    const files = { file: '/nonexistent', kernel: '/nonexistent' }
    const operations = Object.entries(vm.operations).filter(([, { input }]) => 'vm' in input.shape)
    assert.ok(operations.length > 12)
    for (const id of IDS) {
      for (const [operation] of operations) await refusal(host, operation, { ...other, ...files, vm: id })
      for (const [operation, field] of [
        ['snapshot', 'name'],
        ['clone', 'newVm'],
        ['importDisk', 'disk'],
        ['exportDisk', 'disk']
      ] as const)
        await refusal(host, operation, { ...other, ...files, vm: 'm', [field]: id })
      // of a line the spaces part the words: those make another command of it, which is none either
      for (const line of [
        `ADD_VM ${id} 64 1`,
        `AUTH ${id} 64 1`,
        `ADD_DISK ${id} m 1`,
        `REMOVE_DISK ${id}`,
        `LOGOUT ${id}`
      ])
        await refusal(host, 'exec', { line })
    }
    assert.deepEqual(await everything(), before)
    assert.deepEqual(
      lines.filter(line => /"level":(50|60)/.test(line)),
      []
    )
  })

  it('the same through the network, by a peer', async () => {
    const before = await everything()
    for (const id of IDS)
      for (const [operation, input] of [
        ['show', {}],
        ['power', { action: 'start' }],
        ['console', { input: 'x' }],
        ['rollback', { name: '../s' }]
      ] as const)
        await refusal(client, operation, { ...input, vm: id, host: host.id })
    assert.deepEqual(await everything(), before)
  })

  it('figures below, above and beside what a machine may have', async () => {
    const before = await everything()
    for (const figure of FIGURES)
      for (const line of [
        `AUTH new ${figure} 1`,
        `AUTH new 64 ${figure}`,
        `UPDATE_VM m ${figure} 1`,
        `UPDATE_VM m 64 ${figure}`,
        `ADD_DISK new m ${figure}`
      ]) {
        const { text } = await ask(host, 'exec', { line })
        assert.match(text, /^ERR UsageError /, line)
      }
    for (const [operation, input] of [
      ['console', { after: -1 }],
      ['console', { after: 2 ** 63 }],
      ['console', { waitMs: 1e9 }],
      ['console', { input: 'x'.repeat(10_000_000) }],
      ['events', { after: -1 }]
    ] as const)
      await assert.rejects(ask(host, operation, { vm: 'm', ...input }), { name: 'RequestError' })
    assert.deepEqual(await everything(), before)
  })

  it('machines of others look as if they were not there', async () => {
    const before = await everything()
    for (const [operation, input] of MATRIX) {
      const asked = { vm: 'm', ...input, host: host.id }
      const answer = ask(client, operation, asked).then(
        ({ text }) => text,
        ({ name }) => `ERR ${name} `
      )
      assert.match(await answer, /^ERR NotFoundError /, `${operation} ${JSON.stringify(input)}`)
    }
    const { text } = await ask(client, 'exec', { line: 'REMOVE_DISK own', host: host.id })
    assert.match(text, /^ERR NotFoundError /)
    assert.deepEqual(await everything(), before)
  })

  it('each role may do what stands in the table, and no more', async () => {
    for (const role of ['viewer', 'operator', 'owner'])
      for (const [operation, input, roles] of MATRIX) {
        if (role !== 'owner') await ask(host, 'grant', { vm: 'm', peer: client.id, role })
        const [node, at] = role === 'owner' ? [host, undefined] : [client, host.id]
        const { name, text } = await ask(node, operation, { vm: 'm', ...input, host: at }).catch(
          error => error
        )
        const isForbidden = name === 'ForbiddenError' || /^ERR ForbiddenError /.test(text ?? '')
        const said = `${role} ${operation} ${JSON.stringify(input)}: ${name ?? text}`
        assert.equal(isForbidden, !roles.split(' ').includes(role), said)
        assert.ok(name !== 'NotFoundError' || /rollback|forget/.test(operation), said)
      }
  })
})
