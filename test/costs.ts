import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'

/*
 * What each file of tests costs: `sudo npm test -- --require=test/costs.ts`. While a file runs it has a control group of its
 * own, so that CPU time is that of all processes that it starts, also of those that are killed. As files end, lines
 * of CPU seconds, seconds and file come into test/costs.txt.
 */

const GROUPS = '/sys/fs/cgroup/cpuacct/artel-tests'
const TABLE = new URL('costs.txt', import.meta.url)

const group = `${GROUPS}/${process.pid}`
let begun = 0
let cpuBefore = 0

/** CPU time of this process and of all that it started, ms */
const cpu = (): number => Number(readFileSync(`${group}/cpuacct.usage`, 'utf8')) / 1e6

export const mochaHooks = {
  beforeAll(): void {
    if (begun === 0) {
      mkdirSync(group, { recursive: true })
      writeFileSync(`${group}/cgroup.procs`, String(process.pid))
    }
    begun = performance.now()
    cpuBefore = cpu()
  },
  afterAll(this: Mocha.Context): void {
    const { file = '' } = this.test!.parent!.suites[0] ?? {}
    const cells = [cpu() - cpuBefore, performance.now() - begun].map(ms => (ms / 1000).toFixed(1))
    appendFileSync(TABLE, `${[...cells, relative(process.cwd(), file)].join('\t')}\n`)
  }
}
