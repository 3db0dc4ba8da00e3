import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createIdentity } from '../../bootstrap/index.ts'
import { createSigner } from '../../ledger/index.ts'
import { openNode } from '../../node/cli/open-node.ts'
import { whyBad } from '../../node/cli/run-release.ts'
import { copyDatabases, putBackDatabases } from '../../node/database-copies.ts'
import { checkData } from '../../node/examine-data.ts'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { signatureFile, signRelease } from '../../node/signed-release.ts'
import { createUpdates } from '../../node/updates.ts'
import { type Caller, OWNER, slots } from '../../services/index.ts'
import { pack } from '../services/devices/releases.ts'

const { givenUp, kept, nextStart, readState } = slots
const patience = { startSeconds: 1, healthSeconds: 1 }

describe('node: updates', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-updates-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const signerOf = async () => createSigner((await createIdentity()).privateKey)
  const updatesOf = (signers: string[], restart: () => void = () => {}) =>
    createUpdates({
      data: folder,
      signers: () => signers,
      health: () => [
        { service: 'vm', state: 'failed' },
        { service: 'files', state: 'running' }
      ],
      restart
    })

  describe('of a release', () => {
    it('that is not signed by whom it must be, or is another than was signed, are refused before anything of it runs', async () => {
      const [mine, other] = [await signerOf(), await signerOf()]
      const ran = join(folder, 'ran')
      const first = `await (await import('node:fs/promises')).writeFile('${ran}', '')`
      const { path } = await pack(folder, '2', '', first)
      const { update } = updatesOf([mine.account])
      const refused = async (why: RegExp): Promise<void> => {
        await assert.rejects(update({ path, ...patience }), { name: 'ReleaseError', message: why })
        assert.equal(existsSync(ran), false, 'nothing of it ran')
        assert.deepEqual(await readState(join(folder, slots.RELEASES)), {})
      }
      await refused(/2\.tgz\.sig is not there/)
      await signRelease(path, other)
      await refused(/whose releases are not taken here/)

      const signed = await signRelease(path, mine)
      assert.equal(signed.version, '2')
      const sig = signatureFile(path)
      await writeFile(sig, JSON.stringify({ ...signed, version: '3' }))
      await refused(/is not signed by/)
      await writeFile(sig, JSON.stringify({ ...signed, by: other.account }))
      await refused(/whose releases are not taken here/)
      await writeFile(sig, '{"version"')
      await refused(/is no signature/)
      await writeFile(sig, JSON.stringify(signed))
      const bytes = await readFile(path)
      await writeFile(
        path,
        bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte))
      )
      await refused(/is not what .* has signed/)
      await writeFile(path, Buffer.concat([bytes, Buffer.of(0)]))
      await refused(/is not what .* has signed/)
      await rm(path)
      await refused(/cannot be read \(ENOENT\)/)
    })

    it('that is signed is unpacked and on trial; there is one at a time', async () => {
      const signer = await signerOf()
      const { path, sha256 } = await pack(folder, '2', '')
      await signRelease(path, signer)
      let restarts = 0
      // what is on its way would be cut off
      const isDone = () => !existsSync(join(folder, slots.RELEASES, 'update.tgz'))
      const { update, rollback, program } = updatesOf([signer.account], () => {
        restarts += isDone() ? 1 : 0
      })
      assert.equal((await program()).former, undefined)
      await assert.rejects(rollback(patience), /nothing ran here before/)
      const [first, second] = await Promise.allSettled([
        update({ path, ...patience }),
        update({ path, ...patience })
      ])
      assert.match(String(second.status === 'rejected' && second.reason), /another release is made ready/)
      assert.ok(first.status === 'fulfilled')
      const { version, trial } = first.value
      assert.deepEqual([trial, restarts], ['2', 1])
      const state = await readState(join(folder, slots.RELEASES))
      assert.deepEqual(state.a, { version: '2', sha256 })
      assert.deepEqual(state.trial, {
        slot: 'a',
        starts: 0,
        healthMs: 1_000,
        startMs: 1_000,
        failing: ['vm']
      })
      await assert.rejects(update({ path, ...patience }), /2 is on trial/)
      // a release that waits for the first start makes no folder of it that a node has used
      await checkData(folder)

      await slots.writeState(join(folder, slots.RELEASES), kept(state))
      assert.deepEqual(await program(), { version: '2', former: version })
      assert.equal((await rollback(patience)).trial, version)
    })

    it('are for who started the node himself', async () => {
      const { update } = createUpdates({
        data: folder,
        signers: () => [],
        health: () => [],
        restart: undefined
      })
      await assert.rejects(update({ path: '/x', ...patience }), /another program has started this node/)
    })

    it('that does not even say its version is not tried', async () => {
      const signer = await signerOf()
      const { path } = await pack(folder, '2', '', 'process.exit(1)')
      await signRelease(path, signer)
      await assert.rejects(updatesOf([signer.account]).update({ path, ...patience }), /it does not start/)
      assert.equal((await readState(join(folder, slots.RELEASES))).trial, undefined)
      const { path: other } = await pack(folder, '3', '')
      await writeFile(other, 'no archive')
      await assert.rejects(signRelease(other, signer), /is no packed release/)
    })
  })

  it('remember what ran before, also what was installed, and put databases back only where they were copied', () => {
    const release = (version: string) => ({ version, sha256: version.padStart(64, '0') })
    const trial = { slot: 'a' as const, starts: 1, healthMs: 1, startMs: 1, isCopied: true }
    const first = kept({ a: release('2'), installed: '1', trial })
    assert.deepEqual([first.current, first.former, first.trial], ['a', 'base', undefined])
    const second = kept({ ...first, b: release('3'), trial: { ...trial, slot: 'b' } })
    assert.deepEqual([second.current, second.former], ['b', 'a'])
    const back = { ...first, trial: { ...trial, slot: 'base' as const } }
    assert.equal(nextStart(back).slot, undefined)
    const base = kept(back)
    assert.deepEqual([base.current, base.former], [undefined, 'a'])

    const broken = givenUp(back, { is: 'exited', of: ['9'] })
    assert.deepEqual([broken.current, broken.putBack, broken.failed?.version], ['a', true, '1'])
    const { isCopied, ...uncopied } = trial
    assert.equal(givenUp({ ...first, trial: uncopied }, { is: 'exited', of: ['9'] }).putBack, undefined)
  })

  it('judge a program by services that worked before', () => {
    const row = (service: string, state: 'running' | 'degraded' | 'failed' | 'starting') => ({
      service,
      state
    })
    assert.deepEqual(whyBad([row('a', 'running'), row('b', 'degraded')], []), [])
    assert.deepEqual(whyBad([row('a', 'failed')], ['a']), [])
    const bad = whyBad(
      [
        row('a', 'running'),
        { ...row('b', 'failed'), reason: 'no' },
        row('c', 'starting'),
        { ...row('d', 'failed'), reason: 'of version 9', error: 'MigrationError' }
      ],
      []
    )
    assert.deepEqual(
      bad.map(({ is }) => is),
      ['unwell', 'unwell', 'newer']
    )
    const trial = { slot: 'a' as const, starts: 1, healthMs: 1, startMs: 1 }
    const { failed } = givenUp({ a: { version: '1', sha256: '0'.repeat(64) }, trial }, ...bad)
    assert.equal(failed?.why, 'b is failed: no; c is starting: ; d is failed: of version 9')
    assert.deepEqual(failed.faults, bad)
  })

  describe('copies of databases', () => {
    const file = (name: string): string => join(folder, name)
    const names = ['jobs.sqlite', 'services/chat/chat.sqlite']
    const open = (name: string): DatabaseSync => {
      const database = new DatabaseSync(file(name))
      database.exec('PRAGMA journal_mode = WAL')
      return database
    }
    const textsIn = (name: string): unknown[] => {
      using database = new DatabaseSync(file(name))
      return database
        .prepare('SELECT text FROM said ORDER BY text')
        .all()
        .map(({ text }) => text)
    }
    beforeEach(async () => {
      await mkdir(file('services/chat'), { recursive: true })
      for (const name of names) {
        using database = open(name)
        database.exec("CREATE TABLE said (text); INSERT INTO said VALUES ('before')")
      }
    })
    const change = (name: string): void => {
      using database = open(name)
      database.exec("PRAGMA user_version = 99; INSERT INTO said VALUES ('during')")
    }

    it('hold what a killed node left in a log, and are put back whole', async () => {
      const [first] = names as [string]
      // as a kill leaves it: the log has what the database has not
      {
        using database = open(first)
        database.exec("INSERT INTO said VALUES ('logged')")
        for (const end of ['', '-wal']) await cp(file(first) + end, file(`kept${end}`))
      }
      for (const end of ['', '-wal']) await rename(file(`kept${end}`), file(first) + end)
      await copyDatabases(folder)
      for (const name of names) change(name)
      await putBackDatabases(folder)
      assert.deepEqual(textsIn(first), ['before', 'logged'])
      assert.deepEqual(textsIn(names[1]!), ['before'])
    })

    it('are put back also where that was cut off, and with a log of what took their place', async () => {
      await copyDatabases(folder)
      // of both the log of the newer one is there
      const [first, second] = names as [string, string]
      const logs = names.map(name => {
        const database = open(name)
        database.exec("PRAGMA user_version = 99; INSERT INTO said VALUES ('during')")
        return database
      })
      for (const [i, name] of names.entries()) {
        for (const end of ['', '-wal']) await cp(file(name) + end, file(`${i}${end}`))
      }
      for (const database of logs) database.close()
      for (const [i, name] of names.entries())
        for (const end of ['', '-wal']) await rename(file(`${i}${end}`), file(name) + end)
      // the first is put back, and of the second the log is gone already
      await rm(file(`${first}-wal`))
      await rename(join(folder, slots.RELEASES, 'before', first), file(first))
      await rm(file(`${second}-wal`))
      await putBackDatabases(folder)
      for (const name of names) assert.deepEqual(textsIn(name), ['before'])
    })
  })

  it('whose trial was cut off are tried before anything else works in the folder: what it wrote would be undone', async () => {
    const at = join(folder, slots.RELEASES)
    await mkdir(at)
    const config = loadConfig({ environment: {}, flags: { data: folder, logLevel: 'silent' } })
    const trial = { slot: 'a' as const, starts: 1, healthMs: 1, startMs: 1, isCopied: true }
    for (const state of [{ trial }, { putBack: true }]) {
      await slots.writeState(at, state)
      await assert.rejects(openNode(config, AbortSignal.timeout(240_000)), { name: 'OnTrialError' })
      assert.equal(existsSync(join(folder, 'jobs.sqlite')), false)
    }
  })

  it('are tried with the doors shut: nothing is answered but how the node is, and nobody comes in', async () => {
    const start = (name: string, init: Parameters<typeof createNode>[1]): Promise<ArtelNode> =>
      createNode(
        loadConfig({
          environment: {},
          flags: { data: join(folder, name), logLevel: 'silent', compute: false, 'gateway.enabled': false }
        }),
        { founds: true, ...init }
      )
    await using shut = await start('shut', { isOnTrial: true })
    await using other = await start('other', {})
    const call = (node: ArtelNode, service: string, operation: string) =>
      node.services.call(service, operation, {}, { caller: OWNER })
    await call(shut, 'settings', 'health')
    await assert.rejects(call(shut, 'network', 'network'), { name: 'OnTrialError' })
    await assert.rejects(call(shut, 'credits', 'balance'), { name: 'OnTrialError' })
    const [address] = shut.libp2p.getMultiaddrs()
    const [back] = other.libp2p.getMultiaddrs()
    // who is let in by libp2p itself, but not by us, is told at the end of the handshake
    await assert.rejects(async () => {
      const connection = await other.libp2p.dial(address!)
      await other.libp2p.services.ping.ping(connection.remotePeer)
    })
    await assert.rejects(shut.libp2p.dial(back!))
    await assert.rejects(shut.libp2p.dial(back!.decapsulate('/p2p')))
    assert.deepEqual(shut.libp2p.getConnections(), [])

    // whose releases are taken is nothing that a token of HTTP says
    const by = (caller: Caller) =>
      other.services.call('settings', 'configure', { patch: { releaseSigners: [shut.id] } }, { caller })
    await assert.rejects(by({ is: 'grant', grant: { id: 'token', scopes: ['admin'] } }), {
      name: 'ForbiddenError'
    })
    assert.deepEqual(other.config.releaseSigners, [])
    await by(OWNER)
    assert.deepEqual(other.config.releaseSigners, [shut.id])
  })
})
