import type { Demo } from './contract.ts'
import { openServiceNetwork, type ServiceNode } from './service-network.ts'
import { until } from './stage.ts'
import { createSteps } from './steps.ts'
import { buildGuest } from './vm-guest.ts'
import { startPostgres } from './vm-postgres.ts'

const BOOT_MS = 120_000
const SETTINGS = { allowedPeers: ['*'], allowTcg: true }

/** What is typed at the prompt, and how its answer begins. */
const LINES: readonly [line: string, answer: string][] = [
  ['AUTH vm1 2048 2', 'OK vm1 registered'],
  ['AUTH vm2 4096 4', 'OK vm2 registered'],
  ['ADD_VM vm3 1024 1', 'OK vm3 added'],
  ['LIST_VMS', 'OK 3 machines\nvm1: 2048MB RAM, 2CPU, stopped\n'],
  ['LIST_AUTH_VMS', 'OK 2 machines\n'],
  ['ADD_DISK disk1 vm1 50', 'OK disk1 added to vm1'],
  ['ADD_DISK disk2 vm2 100', 'OK disk2 added to vm2'],
  ['LIST_DISKS', 'OK 2 disks\nDisk disk1 (VM vm1): 50GB\nDisk disk2 (VM vm2): 100GB'],
  ['UPDATE_VM vm1 4096 4', 'OK vm1 updated'],
  ['LOGOUT vm2', 'OK vm2 logged out'],
  ['REMOVE_DISK disk2', 'OK disk2 removed'],
  ['REMOVE_VM vm3', 'ERR UsageError '],
  ['REMOVE_VM vm3 --yes', 'OK vm3 removed'],
  ['CHECK_ALL_VMS', 'OK 3 machines\nvm1: ok, stopped'],
  ['LIST_VMS', 'OK 2 machines\nvm1: 4096MB RAM, 4CPU, stopped\nvm2: ']
]

/** Two hosts of machines and a client; one machine that outlives whatever is killed. */
export const vm: Demo = {
  summary:
    'machines on two hosts, commands on PostgreSQL and embedded; a guest outlives kill -9 of QEMU and of its node, and moves to the other host',
  async run({ folder, say }) {
    const { steps, step, played } = createSteps(say)

    say('Starting a PostgreSQL server, two hosts and a client, each a process of its own …')
    const guest = await buildGuest()
    const postgres = await startPostgres()
    await using network = await openServiceNetwork(folder, 'vm')
    const startHost = () => network.start('ann', SETTINGS, { DB_HOST: '' })
    const stopGuest = async () => {
      const node = network.nodes.get('ann') ?? (await startHost())
      const host = network.nodes.get(isAtBob ? 'bob' : 'ann')?.id
      await node.call('power', { vm: 'guest', action: 'stop', force: true, host })
    }
    let isGuest = false
    let isAtBob = false
    let ended = false
    try {
      let ann = await startHost()
      const bob = await network.start('bob', SETTINGS, postgres.environment)
      const client = await network.start('client', {}, { DB_HOST: '' })
      for (const [host, database] of [
        [bob, 'PostgreSQL'],
        [ann, 'the embedded database']
      ] as const)
        await step(`the commands, from the client, on ${database}`, () => typeLines(client, host))
      const tables = await postgres.query(
        "SELECT string_agg(id, ' ' ORDER BY id) FROM machines WHERE active = 1"
      )
      steps.push({
        what: 'what PostgreSQL itself says',
        right: tables.trim() === 'vm1 vm2',
        detail: tables.trim(),
        ms: 0
      })

      const there = { vm: 'guest', host: ann.id }
      const type = (command: string) => typeInto(client, there, command)
      const booted = () =>
        until('the prompt', async () => (await see(client, there)).text.includes('/ # '), BOOT_MS)
      // what goes on has no reason to show its prompt again
      const answers = () =>
        until(
          'an answer',
          async () => {
            await client.call('console', { ...there, input: '\n' }).catch(() => undefined)
            return (await see(client, there).catch(() => ({ text: '' }))).text.includes('/ # ')
          },
          BOOT_MS
        )
      await step('a machine boots to a shell; the client is its operator', async () => {
        await ann.call('exec', { line: 'AUTH guest 128 1' })
        await ann.call('exec', { line: 'ADD_DISK data guest 1' })
        await ann.call('boot', { vm: 'guest', ...guest })
        await ann.call('grant', { vm: 'guest', peer: client.id, role: 'operator' })
        isGuest = true
        await client.call('power', { ...there, action: 'start' })
        await booted()
        const kernel = await type('uname -r')
        return { right: /^\d+\.\d+/.test(kernel), detail: `Linux ${kernel}` }
      })
      await step('a file is written, kept in a snapshot, deleted, and there again', async () => {
        await type('mke2fs /dev/vda >/dev/null 2>&1; mount /dev/vda /mnt; echo precious > /mnt/file; sync')
        await client.call('snapshot', { ...there, name: 'before' })
        await type('rm /mnt/file; sync')
        const deleted = await type('ls /mnt')
        await client.call('rollback', { ...there, name: 'before' })
        await booted()
        const back = await type('mount /dev/vda /mnt; cat /mnt/file; umount /mnt')
        return {
          right: deleted === 'lost+found' && back === 'precious',
          detail: `deleted: ${deleted}; restored: ${back}`
        }
      })
      await step('kill -9 of QEMU: it is started again', async () => {
        const before = await starts(client, there)
        process.kill(await pidOf(ann, 'guest'), 'SIGKILL')
        await until('the restart', async () => (await starts(client, there)) === before + 1, BOOT_MS)
        await booted()
        return { right: true, detail: `start number ${before + 1}` }
      })
      await step('kill -9 of the host’s node: the guest runs on and is adopted', async () => {
        await type("sh -c 'while true; do usleep 100000; n=$((n+1)); echo $n > /ticks; done &'")
        const pid = await pidOf(ann, 'guest')
        // before the first tick there is no file, and while one is written it is empty
        const ticks = async () => Number(/^\d+$/.exec(await type('cat /ticks'))?.[0] ?? 0)
        await until('a tick', async () => (await ticks()) > 0)
        const first = await ticks()
        await ann.kill()
        ann = await startHost()
        there.host = ann.id
        await until('the adoption', async () => (await pidOf(ann, 'guest')) === pid)
        await until('another tick', async () => (await ticks()) > first)
        const last = await ticks()
        return { right: true, detail: `the same process; it counted from ${first} to ${last}` }
      })
      await step('kill -9 of the node in the middle of a move: one copy, which runs', async () => {
        const moving = ann.call('move', { vm: 'guest', to: bob.id }).catch(() => undefined)
        const state = async () => (await client.call<{ state: string }>('show', there)).state
        await until('the move', async () => (await state()) === 'moving')
        await ann.kill()
        await moving
        ann = await startHost()
        there.host = ann.id
        await until('its start', async () => (await state()) === 'running', BOOT_MS)
        await answers()
        const { text } = await ann.call<{ text: string }>('exec', { line: 'LIST_VMS', host: bob.id })
        return { right: text.startsWith('OK 0 machines'), detail: 'it stayed where it was' }
      })
      await step('the guest moved to the other host', async () => {
        await type('mount /dev/vda /mnt; echo taken along > /mnt/file; umount /mnt; number=41')
        const { state } = await ann.call<{ state: string }>('move', { vm: 'guest', to: bob.id })
        isAtBob = true
        there.host = bob.id
        await answers()
        const found = await type('mount /dev/vda /mnt; cat /mnt/file; umount /mnt')
        const number = await type('echo $((number+1))')
        const { machines } = await ann.call<{ machines: { id: string }[] }>('list')
        const isGone = machines.every(({ id }) => id !== 'guest')
        return {
          right: found === 'taken along' && number === '42' && isGone,
          detail: `${state}; the file says: ${found}; its shell goes on: ${number}`
        }
      })
      await step('all records, folders, processes and disks agree', async () => {
        await stopGuest()
        isGuest = false
        const { text } = await ann.call<{ text: string }>('exec', { line: 'CHECK_ALL_VMS', host: bob.id })
        return { right: text.startsWith('OK 1 machine\nguest: ok, stopped'), detail: text.split('\n')[1]! }
      })
    } finally {
      if (isGuest) await stopGuest()
      ended = await network.end()
      await postgres.stop()
    }
    return played(ended, { nodesEnded: ended })
  }
}

async function typeLines(client: ServiceNode, host: ServiceNode) {
  for (const [line, answer] of LINES) {
    const { text } = await client.call<{ text: string }>('exec', { line, host: host.id })
    if (!text.startsWith(answer)) return { right: false, detail: `${line}: ${text}` }
  }
  return { right: true, detail: `${LINES.length} lines` }
}

const see = (client: ServiceNode, there: object, after = 0) =>
  client.call<{ at: number; text: string }>('console', { ...there, after })

/** Types a command at the guest's prompt; what it printed. */
async function typeInto(client: ServiceNode, there: object, command: string): Promise<string> {
  const { at } = await see(client, there)
  // the echo of the line has the quotes, what it prints has not
  await client.call('console', { ...there, input: `${command}; echo do''ne\n` })
  let text = ''
  await until(`the end of ${command}`, async () => {
    text = (await see(client, there, at)).text
    return /done\s/.test(text)
  })
  return text.split('\n').slice(1).join('\n').split('done')[0]!.trim()
}

async function starts(client: ServiceNode, there: object): Promise<number> {
  const { events } = await client.call<{ events: { kind: string }[] }>('events', there)
  return events.filter(({ kind }) => kind === 'started').length
}

/** The process of a machine, as its host tells it to its owner. */
async function pidOf(host: ServiceNode, id: string): Promise<number> {
  const { pid } = await host.call<{ pid?: number }>('show', { vm: id })
  return pid ?? 0
}
