import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkHouse, type Fault } from './check-house.ts'
import { rules as ours, type Rules } from './rules.ts'

const rules: Rules = { ...ours, known: [] }

/** The faults of a small tree, as `file:line key`. */
function faultsOf(tree: Record<string, string>, known: string[] = [], others: string[] = []): Fault[] {
  return checkHouse(new Map(Object.entries(tree)), others, { ...rules, known })
}

const places = (faults: Fault[]) => faults.map(({ file, line }) => `${file}:${line}`)

describe('house: what npm run check refuses', () => {
  const refused: Record<string, [tree: Record<string, string>, place: string, words: RegExp]> = {
    'a circle of imports': [
      { 'node/a.ts': "import { b } from './b.ts'", 'node/b.ts': "\nexport { a } from './a.ts'" },
      'node/a.ts:1',
      /a circle: node\/a\.ts → node\/b\.ts → node\/a\.ts/
    ],
    'a circle of types alone': [
      {
        'node/a.ts': "export type A = import('./b.ts').B",
        'node/b.ts': "import type { C } from './c.ts'",
        'node/c.ts': "export * from './a.ts'"
      },
      'node/a.ts:1',
      /a circle/
    ],
    'a file that imports itself when it is loaded later': [
      { 'node/a.ts': "\n\nconst self = () => import('./a.ts')" },
      'node/a.ts:3',
      /a circle/
    ],
    'an import upward': [
      { 'sandbox/a.ts': "\nimport '../scheduler/index.ts'", 'scheduler/index.ts': '' },
      'sandbox/a.ts:2',
      /sandbox\/ may import no other room/
    ],
    'an import upward between sub-rooms': [
      {
        'scheduler/data/a.ts': "import type { B } from '../jobs/b.ts'",
        'scheduler/jobs/b.ts': 'export type B = 1'
      },
      'scheduler/data/a.ts:1',
      /scheduler\/data\/ may import only/
    ],
    'a room entered behind its door': [
      { 'node/a.ts': "import '../scheduler/tasks/b.ts'", 'scheduler/tasks/b.ts': '' },
      'node/a.ts:1',
      /take what it gives from scheduler\/index\.ts/
    ],
    'a service that imports another': [
      { 'services/files/a.ts': "import '../vm/index.ts'", 'services/vm/index.ts': '' },
      'services/files/a.ts:1',
      /services\/files\/ may import only services\/host/
    ],
    'a service that imports the gateway': [
      { 'services/files/a.ts': "import '../gateway/index.ts'", 'services/gateway/index.ts': '' },
      'services/files/a.ts:1',
      /services\/files\/ may import only services\/host/
    ],
    'a service that enters the host behind its door': [
      { 'services/files/a.ts': "import '../host/access.ts'", 'services/host/access.ts': '' },
      'services/files/a.ts:1',
      /services\/host\/index\.ts/
    ],
    'the code of a test in the product': [
      { 'node/a.ts': "import '../test/b.ts'", 'test/b.ts': '' },
      'node/a.ts:1',
      /node\/ may import only/
    ],
    'a folder that is no room': [{ 'utils/a.ts': '' }, 'utils/a.ts:1', /utils\/ is no room/],
    'a sub-room without a line in the table': [
      { 'scheduler/misc/a.ts': '' },
      'scheduler/misc/a.ts:1',
      /scheduler\/misc\/ is no room/
    ],
    'a file over 500 lines': [{ 'node/a.ts': '\n'.repeat(501) }, 'node/a.ts:501', /501 lines/],
    'a comment that cites what is not there': [
      { 'node/a.ts': '/**\n * As (design.md) says.\n */' },
      'node/a.ts:2',
      /cites design\.md/
    ],
    'a comment that cites a file by its old name': [
      { 'node/a.ts': 'const a = 1 // see node/old.ts' },
      'node/a.ts:1',
      /cites node\/old\.ts/
    ]
  }
  for (const [name, [tree, place, words]] of Object.entries(refused)) {
    it(name, () => {
      const faults = faultsOf(tree).filter(({ key }) => key !== 'median')
      assert.deepEqual(places(faults), [place])
      assert.match(faults[0]!.message, words)
    })
  }

  it('files that are long on the whole', () => {
    const tree = { 'node/a.ts': '\n'.repeat(101), 'node/b.ts': '\n'.repeat(150), 'node/c.ts': '' }
    assert.deepEqual(places(faultsOf(tree)), ['node/a.ts:1'])
    assert.deepEqual(faultsOf({ ...tree, 'node/d.ts': '' }), [])
  })

  it('a folder with such files, by the exit code of the command', () => {
    const folder = mkdtempSync(join(tmpdir(), 'artel-house-'))
    try {
      mkdirSync(join(folder, 'node'))
      writeFileSync(join(folder, 'node/a.ts'), "import { b } from './b.ts'")
      writeFileSync(join(folder, 'node/b.ts'), "import { a } from './a.ts' // as design.md says")
      const run = join(import.meta.dirname, 'run.ts')
      const { status, stderr } = spawnSync(process.execPath, [run], { cwd: folder, encoding: 'utf8' })
      assert.equal(status, 1, stderr)
      assert.match(stderr, /^node\/a\.ts:1 a circle/m)
      assert.match(stderr, /^node\/b\.ts:1 .*cites design\.md/m)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('what is known is not told, until it is mended', () => {
    const tree = { 'node/a.ts': '// design.md' }
    const [fault] = faultsOf(tree)
    assert.deepEqual(faultsOf(tree, [fault!.key]), [])
    assert.match(faultsOf({ 'node/a.ts': '' }, [fault!.key])[0]!.message, /is mended: take it out/)
  })

  it('nothing of what the table allows', () => {
    const tree = {
      'services/files/index.ts':
        "import '../host/index.ts'\nimport '../../scheduler/index.ts'\nimport './a.ts'",
      'services/files/a.ts': '// README.md, a.ts, ./index.ts, services/host/index.ts, example.org/page.md',
      'services/host/index.ts': "import '../../bootstrap/framing.ts'",
      'services/index.ts': "import './files/index.ts'",
      'scheduler/index.ts': "import './jobs/a.ts'",
      'scheduler/jobs/a.ts': "import '../tasks/a.ts'\nimport '../errors.ts'\nimport '../../ledger/index.ts'",
      'scheduler/tasks/a.ts': '',
      'scheduler/errors.ts': '',
      'ledger/index.ts': '',
      'bootstrap/framing.ts': '',
      'test/a.spec.ts': "import '../scheduler/jobs/a.ts'\nimport 'mocha'"
    }
    assert.deepEqual(faultsOf(tree, [], ['README.md']), [])
  })
})
