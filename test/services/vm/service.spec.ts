import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { multiaddr } from '@multiformats/multiaddr'
import { createIdentity } from '../../../bootstrap/index.ts'
import { createSigner } from '../../../ledger/index.ts'
import { buildGuest } from '../../../node/demo/vm-guest.ts'
import { OWNER, vm } from '../../../services/index.ts'
import { createTestDirectory, startHost } from '../host/start-host.ts'
import { until } from './machines-host.ts'

type Host = Awaited<ReturnType<typeof startHost>>

/** What comes back of what is sent to a port of this computer. */
async function echoed(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(bytes)
  return buffer(socket)
}

describe('vm as a service', () => {
  const stack = new AsyncDisposableStack()
  let folder: string
  let directory: ReturnType<typeof createTestDirectory>
  let host: Host
  let client: Host
  const ask = <T = any>(node: Host, operation: string, input: object) =>
    node.services.call('vm', operation, input, { caller: OWNER }) as Promise<T>
  /** The hosts as the client sees them: on a busy machine one may be silent for longer than it waits. */
  const answering = async (count: number, input: object = {}): Promise<any[]> => {
    let hosts: any[] = []
    await until(async () => {
      ;({ hosts } = await ask(client, 'hosts', input))
      return hosts.filter(({ freeMb }) => freeMb !== undefined).length === count
    }, `${count} hosts have answered`)
    return hosts
  }
  const exec = async (node: Host, line: string, at?: string) =>
    (await ask(node, 'exec', { line, host: at })).text
  const refused = (work: Promise<unknown>, name: string) => assert.rejects(work, { name })

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-vm-service-'))
    stack.defer(() => rm(folder, { recursive: true, force: true }))
    directory = createTestDirectory()
    const settings = { vm: { allowedPeers: ['*'], allowTcg: true, ramGbHour: 1_000, diskGbHour: 10 } }
    host = stack.use(await startHost({ modules: [vm], settings, directory }))
    client = stack.use(await startHost({ modules: [vm], settings: { vm: {} }, directory }))
    await client.connect(host)
  })
  after(async () => {
    if (host != null)
      for (const id of ['mine', 'theirs'])
        await ask(host, 'power', { vm: id, action: 'stop', force: true }).catch(() => {})
    await stack.disposeAsync()
  })

  it('finds hosts with what they have free', async () => {
    const hosts = await answering(2)
    assert.deepEqual(hosts.map(({ peer }) => peer).sort(), [host.id, client.id].sort())
    assert.ok(hosts.find(({ peer }) => peer === host.id).freeMb > 0)
    const priced = await answering(2, { ramMb: 2048, diskGb: 50 })
    assert.equal(priced.find(({ peer }) => peer === host.id).anHour, 2_500)
    assert.equal(priced.find(({ peer }) => peer === client.id).anHour, 0)
  })

  it('shows a host that does not answer as a row without figures', async () => {
    const silent = createSigner((await createIdentity()).privateKey).account
    for (const peers of directory.announced.values()) peers.add(silent)
    const hosts = await answering(2)
    assert.deepEqual(hosts.at(-1), { peer: silent, fits: false })
    assert.equal(hosts.length, 3)
    for (const peers of directory.announced.values()) peers.delete(silent)
  })

  it('keeps the machines of each peer apart: the connection says whose they are', async () => {
    assert.equal(await exec(host, 'AUTH mine 128 1'), 'OK mine registered')
    assert.equal(await exec(client, 'AUTH theirs 64 1', host.id), 'OK theirs registered')
    assert.equal(await exec(client, 'AUTH mine 64 1', host.id), 'OK mine registered')
    assert.match(await exec(host, 'LIST_VMS'), /^OK 1 machine\nmine: 128MB/)
    assert.match(await exec(client, 'LIST_VMS', host.id), /^OK 2 machines\nmine: 64MB.*\ntheirs: 64MB/)
    assert.equal(await exec(client, 'LIST_VMS'), 'OK 0 machines')
    assert.equal(await exec(client, 'REMOVE_VM mine --yes', host.id), 'OK mine removed; kept for 7 days')
    assert.match(await exec(host, 'LIST_VMS'), /^OK 1 machine/)
  })

  it('shows machines of a host that is silent or gone as unreachable, in a list, a line and everywhere', async () => {
    const settings = { vm: { allowedPeers: ['*'], allowTcg: true } }
    const other = await startHost({ modules: [vm], settings, directory })
    const [address] = other.libp2p.getMultiaddrs()
    const there = { host: other.id }
    await client.libp2p.peerStore.merge(other.libp2p.peerId, { multiaddrs: [address!] })
    try {
      await exec(client, 'AUTH theirs 64 1', host.id)
      await exec(client, 'AUTH far 64 1', other.id)
      await exec(client, 'ADD_VM new 96 2', other.id)
      assert.match(
        await exec(client, 'LIST_AUTH_VMS', other.id),
        /^OK 1 machine\nfar: 64MB RAM, 1CPU, stopped$/
      )
    } finally {
      await other[Symbol.asyncDispose]()
    }
    const states = ({ machines }: { machines: any[] }) => machines.map(({ id, state }) => `${id} ${state}`)
    const rows = ['far unreachable', 'new unreachable']
    // nobody listens there, then somebody who says nothing
    assert.deepEqual(states(await ask(client, 'list', there)), rows)
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    await client.libp2p.peerStore.patch(other.libp2p.peerId, {
      multiaddrs: [multiaddr(`/ip4/127.0.0.1/tcp/${port}`)]
    })
    try {
      assert.deepEqual(states(await ask(client, 'list', there)), rows)
      assert.equal(
        await exec(client, 'list_auth_vms', other.id),
        'OK 1 machine\nfar: 64MB RAM, 1CPU, unreachable'
      )
      assert.match(
        await exec(client, 'LIST_VMS', other.id),
        /^OK 2 machines\nfar: .*\nnew: 96MB RAM, 2CPU, unreachable$/
      )
      const { machines } = await ask(client, 'list', { everywhere: true })
      assert.deepEqual(
        machines.map(({ id, host: at, state }: any) => [id, at, state]).sort(),
        [
          ['far', other.id, 'unreachable'],
          ['new', other.id, 'unreachable'],
          ['theirs', host.id, 'stopped']
        ].sort()
      )
    } finally {
      silent.close()
    }
    // of whom nothing is known there is nothing to show
    const nobody = createSigner((await createIdentity()).privateKey).account
    await refused(ask(client, 'list', { host: nobody }), 'UnreachableError')
  })

  it('lets no peer in that is not allowed, passes nothing on, and reads no file for a peer', async () => {
    await exec(client, 'AUTH theirs 64 1', host.id)
    await refused(ask(host, 'list', { host: client.id }), 'ForbiddenError')
    await refused(
      client.services.call('vm', 'power', { vm: '../x', action: 'start', host: host.id }, { caller: OWNER }),
      'UsageError'
    )
    await refused(ask(client, 'show', { vm: 'nothing', host: host.id }), 'NotFoundError')
    const asPeer = { caller: { is: 'peer', peer: client.id } as const }
    await refused(host.services.call('vm', 'list', { host: client.id }, asPeer), 'ForbiddenError')
    await refused(
      host.services.call('vm', 'boot', { vm: 'theirs', kernel: '/etc/shadow' }, asPeer),
      'ForbiddenError'
    )
    await refused(
      host.services.call('vm', 'exportDisk', { disk: 'd', file: '/tmp/x' }, asPeer),
      'ForbiddenError'
    )
  })

  it('an operator starts a machine of another node, types into it and stops it; a viewer may only look', async () => {
    const guest = await buildGuest()
    await exec(host, 'AUTH mine 128 1')
    await ask(host, 'boot', { vm: 'mine', ...guest })
    await ask(host, 'network', { vm: 'mine', state: 'on' })
    await ask(host, 'grant', { vm: 'mine', peer: client.id, role: 'viewer' })
    const there = { vm: 'mine', host: host.id }
    await refused(ask(client, 'power', { ...there, action: 'start' }), 'ForbiddenError')
    await ask(host, 'grant', { vm: 'mine', peer: client.id, role: 'operator' })
    assert.equal((await ask(client, 'power', { ...there, action: 'start' })).state, 'running')
    const says = async (text: string) => (await ask(client, 'console', there)).text.includes(text)
    await until(() => says('/ # '), 'the prompt')
    await ask(client, 'console', { ...there, input: 'echo $((6*7))x\n' })
    await until(() => says('42x'), 'the answer of the guest')

    // a port of the guest, from the node of the operator and from its host; nothing leads out
    const types = (input: string) => ask(client, 'console', { ...there, input: `${input}\n` })
    await types('ifconfig eth0 up; udhcpc -nqs /bin/true -i eth0 2>&1 | grep -o "lease of [0-9.]*"')
    await until(() => says('lease of 10.0.2.15'), 'the address of the guest')
    await types('ifconfig eth0 10.0.2.15; nc -ll -p 7 -e /bin/cat &')
    // it is there before it listens
    await types('until netstat -ltn | grep -q ":7 "; do :; done; echo list$((1+1))ens')
    await until(() => says('list2ens'), 'the server in the guest')
    const bytes = randomBytes(300_000)
    for (const node of [client, host]) {
      const { local } = await ask(node, 'forward', { ...there, port: 7 })
      const came = await echoed(local, bytes)
      assert.ok(came.equals(bytes), `${came.length} of ${bytes.length} bytes came back, or others`)
      assert.deepEqual((await ask(node, 'forwards', {})).forwards, [
        { local, vm: 'mine', port: 7, host: host.id }
      ])
      await ask(node, 'unforward', { local })
      await assert.rejects(echoed(local, bytes), { code: 'ECONNREFUSED' })
      const { local: closed } = await ask(node, 'forward', { ...there, port: 9 })
      assert.equal((await echoed(closed, bytes).catch(() => [])).length, 0)
    }
    await types(
      'for h in 10.0.2.2 10.0.2.3 127.0.0.1; do nc -w 1 $h 22 </dev/null || echo no$((1+1)); done; echo all$((1+1))'
    )
    await until(() => says('all2'), 'the end of the ways out')
    assert.equal((await ask(client, 'console', there)).text.split('no2').length, 4)

    await ask(host, 'grant', { vm: 'mine', peer: client.id, role: 'viewer' })
    await refused(ask(client, 'console', { ...there, input: 'reboot\n' }), 'ForbiddenError')
    const { local } = await ask(client, 'forward', { ...there, port: 7 })
    assert.equal((await echoed(local, bytes).catch(() => [])).length, 0)
    assert.ok(await says('42x'))
    assert.equal((await ask(host, 'power', { vm: 'mine', action: 'stop' })).state, 'stopped')
    const { events } = await ask(client, 'events', there)
    assert.deepEqual(
      events.map(({ kind }: { kind: string }) => kind).filter((kind: string) => /^st/.test(kind)),
      ['started', 'stopped']
    )
  })

  it('takes a disk in and gives it out with the same bytes, and refuses images that name other files', async () => {
    const image = (name: string) => join(folder, name)
    const qemuImg = (...args: string[]) => execFileSync('qemu-img', args, { cwd: folder })
    await writeFile(image('raw'), Buffer.from('canary '.repeat(100_000)))
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'raw', 'good.qcow2')
    await exec(host, 'AUTH holds 64 1')
    const imported = await ask(host, 'importDisk', { vm: 'holds', disk: 'in', file: image('good.qcow2') })
    assert.equal(imported.sizeGb, 1)
    await ask(host, 'exportDisk', { disk: 'in', file: image('out.qcow2') })
    qemuImg('convert', '-O', 'raw', 'out.qcow2', 'out.raw')
    const source = await readFile(image('raw'))
    assert.ok((await readFile(image('out.raw'))).subarray(0, source.length).equals(source))

    qemuImg('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', image('raw'), 'backed.qcow2')
    qemuImg(
      'create',
      '-q',
      '-f',
      'qcow2',
      '-o',
      `data_file=${image('data')},data_file_raw=on`,
      'data.qcow2',
      '1M'
    )
    qemuImg('create', '-q', '-f', 'qcow2', 'huge.qcow2', '5T')
    for (const [name, why] of [
      ['backed.qcow2', /backing file/],
      ['data.qcow2', /data file/],
      ['huge.qcow2', /at most/],
      ['raw', /no qcow2/]
    ] as const)
      await assert.rejects(ask(host, 'importDisk', { vm: 'holds', disk: 'bad', file: image(name) }), {
        name: 'StorageError',
        message: why
      })
    assert.match(await exec(host, 'LIST_DISKS'), /^OK 1 disk\nDisk in /)
  })
})
