import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const PROGRAM = fileURLToPath(new URL('partition.ts', import.meta.url))

describe('ledger: a partition that heals', () => {
  it('tells every node on the other side of a fork', () =>
    promisify(execFile)(process.execPath, ['--no-node-snapshot', PROGRAM]))
})
