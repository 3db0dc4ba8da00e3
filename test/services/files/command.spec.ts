import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { Processes } from '../../node/processes.ts'

describe('files: command line', () => {
  let processes: Processes
  before(async () => {
    processes = await Processes.create()
    await processes.start('seed', 'a', ['--compute', 'false', '--files-enabled', 'true']).ready
  })
  after(() => processes.stop())

  /** It runs in the folder of the test, so paths may be relative; the node stands there too, but need not. */
  const files = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await processes.run(['files', ...words, '--data', processes.path('a')])
    assert.equal(code, 0, stderr)
    return stdout
  }

  it('adds, lists, gets and lets go', async () => {
    await writeFile(processes.path('hello.txt'), 'hello world')
    // kubo's test/cli/add_test.go
    const cid = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
    assert.equal(await files('add', 'hello.txt'), `${cid} hello.txt\n`)
    assert.match(await files('list'), new RegExp(`${cid}.*hello\\.txt \\(1\\)`))
    await files('get', 'hello.txt', 'copy.txt')
    assert.equal(await readFile(processes.path('copy.txt'), 'utf8'), 'hello world')
    const again = await processes.run(['files', 'get', cid, 'copy.txt', '--data', processes.path('a')])
    assert.equal(again.code, 2)
    assert.match(again.stderr, /is there already/)
    assert.deepEqual(JSON.parse(await files('info', cid, '--json')).names[0].name, 'hello.txt')
    const unasked = await processes.run(['files', 'unpin', 'hello.txt', '--data', processes.path('a')])
    assert.notEqual(unasked.code, 0)
    await files('unpin', 'hello.txt', '--yes')
    assert.doesNotMatch(await files('list'), /hello/)
  })
})
