import fc from 'fast-check'
import { corpusOf, targets } from './corpus.ts'
import { mutated } from './mutate.ts'
import { isHarmless, type Target } from './target.ts'

const RUNS: Record<string, number> = { http: 100 }

for (const [name, open] of Object.entries(targets)) {
  describe(`fuzz: ${name}`, () => {
    let target: Target
    before(async () => {
      target = await open()
    })
    after(() => target?.close?.())

    it('takes what is real', async () => {
      for (const bytes of target.real) await target.take(bytes)
    })

    it('is not harmed by what once did harm', async () => {
      for (const { bytes } of corpusOf(name)) await isHarmless(target, bytes)
    })

    it('is not harmed by what is nearly real', () =>
      fc.assert(
        fc.asyncProperty(mutated(target.real), bytes => isHarmless(target, bytes)),
        { numRuns: RUNS[name] ?? 300 }
      ))
  })
}
