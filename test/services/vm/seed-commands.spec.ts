import assert from 'node:assert/strict'
import { type Postgres, startPostgres } from '../../../node/demo/vm-postgres.ts'
import { runLine } from '../../../services/vm/commands/run-line.ts'
import { eventsOf, insertEvent } from '../../../services/vm/store/events.ts'
import { openPostgres } from '../../../services/vm/store/postgres.ts'
import { COMMANDS, GUIDE } from './guide.ts'
import { type MachinesHost, OWNER, openMachines } from './machines-host.ts'

/** What must be so whatever database is beneath. */
function commandsOn(
  kind: string,
  open: () => Promise<MachinesHost>,
  close: () => Promise<void> = async () => {}
) {
  describe(`seed commands on ${kind}`, () => {
    let host: MachinesHost
    const faults: Error[] = []
    const say = async (line: string, caller = OWNER) =>
      (await runLine(host.registry, caller, line, { onFault: error => faults.push(error) })).text

    before(async () => {
      host = await open()
    })
    after(async () => {
      await host?.end()
      await close()
      assert.deepEqual(faults, [])
    })

    it('answers the examples of the guide as its reader expects', async () => {
      for (const [line, answer] of GUIDE)
        assert.equal(await say(line.replace(/^REMOVE_VM .*/, '$& --yes')), answer)
    })

    it('authenticates with the same figures only, and tells nobody the true ones', async () => {
      await say('ADD_VM a1 512 1')
      assert.match(await say('LIST_AUTH_VMS'), /^OK 2 machines/)
      const refused = await say('AUTH a1 513 1')
      assert.match(refused, /^ERR AuthError /)
      assert.doesNotMatch(refused, /512/)
      assert.equal(await say('auth a1 512 1'), 'OK a1 authenticated')
      assert.match(await say('LIST_AUTH_VMS'), /a1: 512MB RAM, 1CPU, stopped/)
      assert.equal(await say('LOGOUT a1'), 'OK a1 logged out')
      assert.equal(await say('LOGOUT a1'), 'OK a1 logged out')
      assert.doesNotMatch(await say('LIST_AUTH_VMS'), /a1/)
    })

    it('knows an id once while it is active, and gives it free with the machine', async () => {
      assert.equal(await say('ADD_VM b1 64 1'), 'OK b1 added')
      assert.match(await say('ADD_VM b1 64 1'), /^ERR ExistsError /)
      assert.equal(await say('ADD_VM b1 64 1', 'another'), 'OK b1 added')
      assert.equal(await say('REMOVE_VM b1 --yes'), 'OK b1 removed; kept for 7 days')
      assert.match(await say('REMOVE_VM b1 --yes'), /^ERR NotFoundError /)
      assert.equal(await say('AUTH b1 128 1'), 'OK b1 registered')
      const checks = (await say('CHECK_ALL_VMS')).split('\n').filter(line => line.startsWith('b1:'))
      assert.deepEqual(
        checks.map(line => line.split(', ').slice(0, 2)),
        [
          ['b1: ok', 'removed'],
          ['b1: ok', 'stopped']
        ]
      )
    })

    it('gives a removed machine back with its disks', async () => {
      await say('ADD_VM c1 64 1')
      await say('ADD_DISK cd c1 1')
      await say('REMOVE_VM c1 --yes')
      assert.doesNotMatch(await say('LIST_DISKS'), /cd/)
      await say('ADD_DISK cd vm1 1')
      await assert.rejects(host.registry.restore(OWNER, 'c1'), { name: 'ExistsError' })
      await say('REMOVE_DISK cd')
      await host.registry.restore(OWNER, 'c1')
      assert.match(await say('LIST_DISKS'), /^Disk cd \(VM c1\): 1GB$/m)
      assert.match(await say('ADD_DISK cd c1 1'), /^ERR ExistsError /)
      assert.equal(await say('REMOVE_DISK cd'), 'OK cd removed; kept for 7 days')
      assert.match(await say('REMOVE_DISK cd'), /^ERR NotFoundError /)
    })

    it('asks before it removes, and refuses counts, numbers, ids and lines that are none', async () => {
      for (const line of [
        ...[
          '',
          'FLY',
          'toString',
          '__proto__ a',
          'LIST_VMS now',
          'AUTH d1 64',
          'AUTH d1 64 1 1',
          'REMOVE_VM vm1'
        ],
        ...[
          '-1',
          '0',
          '15',
          '1048577',
          '9223372036854775808',
          '64.5',
          '1e3',
          '0x40',
          '６４',
          '64MB',
          'NaN'
        ].map(ram => `AUTH d1 ${ram} 1`),
        ...['AUTH d1 64 0', 'AUTH d1 64 257', 'ADD_DISK d vm1 0', 'ADD_DISK d vm1 65537'],
        ...['../etc', "a'b", 'a"b', '-a', 'a\u0000b', 'я', 'a;b', '$(id)', 'a'.repeat(64)].map(
          id => `ADD_VM ${id} 64 1`
        ),
        `AUTH ${'x'.repeat(10_000_000)} 1 1`
      ]) {
        const answer = await say(line)
        assert.match(answer, /^ERR UsageError [^\n\0]{1,400}$/, line.slice(0, 40))
      }
      assert.match(await say('LIST_VMS'), /vm1/)
      assert.match(await say('AUTH d1 -1 1'), /"-1"/)
    })

    it('shows and does nothing of machines of others, which look as if they were not there', async () => {
      for (const line of [
        'UPDATE_VM vm1 64 1',
        'LOGOUT vm1',
        'ADD_DISK x vm1 1',
        'REMOVE_VM vm1 --yes',
        'REMOVE_DISK disk1'
      ])
        assert.match(await say(line, 'stranger'), /^ERR NotFoundError /)
      assert.equal(await say('LIST_VMS', 'stranger'), 'OK 0 machines')
      assert.equal(await say('LIST_DISKS', 'stranger'), 'OK 0 disks')
      assert.equal(await say('CHECK_ALL_VMS', 'stranger'), 'OK 0 machines')
    })

    it('lets operators and viewers do what their role says and no more', async () => {
      await host.registry.grant(OWNER, 'vm1', 'viewer', 'viewer')
      await host.registry.grant(OWNER, 'vm1', 'operator', 'operator')
      for (const peer of ['viewer', 'operator']) {
        assert.match(await say('LIST_VMS', peer), /^OK 1 machine\nvm1/)
        for (const line of ['LOGOUT vm1', 'ADD_DISK x vm1 1', 'REMOVE_VM vm1 --yes'])
          assert.match(await say(line, peer), /^ERR ForbiddenError /)
      }
      assert.match(await say('UPDATE_VM vm1 1024 1', 'viewer'), /^ERR ForbiddenError /)
      assert.equal(await say('UPDATE_VM vm1 1024 1', 'operator'), 'OK vm1 updated')
      await host.registry.grant(OWNER, 'vm1', 'operator', 'none')
      assert.match(await say('UPDATE_VM vm1 1024 1', 'operator'), /^ERR NotFoundError /)
    })

    it('explains every command in both languages', async () => {
      const help = await say('help')
      for (const command of COMMANDS) {
        assert.match(help, new RegExp(`^  ${command} `, 'm'))
        assert.match(await say(`HELP ${command}`), new RegExp(`^OK ${command}`))
      }
      const russian = await runLine(host.registry, OWNER, 'HELP LOGOUT', {
        language: 'ru',
        onFault: () => {}
      })
      assert.match(russian.text, /авторизацию/)
    })

    it('takes many commands at once, and lets nobody over his quota', async () => {
      const all = (owner: string, cpu: number) =>
        Promise.all(Array.from({ length: 40 }, (_, i) => say(`ADD_VM m${i} 16 ${cpu}`, owner)))
      for (const answer of await all('many', 1)) assert.match(answer, /^OK /)
      // 5,000 CPUs are 19 machines of 256
      const greedy = await all('greedy', 256)
      assert.equal(greedy.filter(answer => answer.startsWith('OK ')).length, 19)
      assert.equal(greedy.filter(answer => answer.startsWith('ERR QuotaError ')).length, 21)
    })

    it('has statements that come at once share a commit, and the one that fails fail alone', async () => {
      const note = (seq: number) =>
        insertEvent(host.database.joint, { seq, machine: 'none', at: 0, kind: 'noted', detail: '' })
      await note(1)
      const noted = await Promise.allSettled([note(2), note(3), note(1), note(4)])
      assert.deepEqual(
        noted.map(({ status }) => status),
        ['fulfilled', 'fulfilled', 'rejected', 'fulfilled']
      )
      const there = await eventsOf(host.database, 'none', 0, 10)
      assert.deepEqual(
        there.map(({ seq }) => seq),
        [1, 2, 3, 4]
      )
    })

    it('lets one of two win, and the other reads who holds the machine', async () => {
      await host.registry.auth(OWNER, 'race', '64', '1')
      let refused = 0
      for (let round = 0; round < 100; round++) {
        const answers = await Promise.all([say('UPDATE_VM race 128 1'), say('UPDATE_VM race 256 1')])
        for (const answer of answers) {
          if (answer === 'OK race updated') continue
          assert.match(answer, /^ERR BusyError machine race is held by update of owner since /)
          refused++
        }
        assert.ok(answers.includes('OK race updated'))
      }
      assert.ok(refused > 0)
    })
  })
}

commandsOn('the embedded database', () => openMachines())

let postgres: Postgres
commandsOn(
  'PostgreSQL',
  async () => {
    postgres = await startPostgres()
    return openMachines({ database: () => openPostgres(postgres.settings) })
  },
  () => postgres.stop()
)
