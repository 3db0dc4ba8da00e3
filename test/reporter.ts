import { resolve } from 'node:path'
import Mocha from 'mocha'

/** Mocha's usual report, closed with the files that did not live to report, and one line that counts all tests. */
export default class Counting extends Mocha.reporters.Spec {
  readonly #silent = new Set(
    process.argv.filter(file => file.endsWith('.spec.ts')).map(file => resolve(file))
  )

  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    runner.on('test end', ({ file }) => this.#silent.delete(file ?? ''))
  }

  /** Called when really all is over: what mocha counts before may lack workers that crashed. */
  override done(failures: number, ended: (failures: number) => void): void {
    for (const file of this.#silent) Mocha.reporters.Base.consoleLog(`no test of ${file} ended`)
    Mocha.reporters.Base.consoleLog(`\n${this.stats.passes} passed, ${failures} failed`)
    ended(failures)
  }
}
