import { deepEqual, equal } from 'node:assert/strict'
import { isSignedBy } from '../../../ledger/index.ts'
import { entryBefore } from '../../../services/devices/delivery/before.ts'
import type { Batch } from '../../../services/devices/log/batch.ts'
import { encodeEntry, GENESIS } from '../../../services/devices/log/entry.ts'
import { batchFrom, chain, entryOf } from './logs.ts'

const { signal } = new AbortController()
const log = Object.assign(() => {}, { error: () => {} })
const about = { device: 'sas:7', kind: 'meters' }
const of = (v: number, more: object = {}, from = 3) =>
  batchFrom(from, GENESIS.hash, [{ ...about, body: { v }, ...more }]).batch

describe('devices: what the board before wrote last', () => {
  /** By witness: what it answers, an error once where it has none yet. */
  async function ask(answers: Record<string, (Batch | Error | undefined)[]>, boards = [chain.agent]) {
    const entry = await entryBefore(
      {
        ...{ boards, witnesses: Object.keys(answers), isSigned: isSignedBy, log },
        peers: {
          async ask(witness: string) {
            const said = answers[witness]!
            const batch = said.length > 1 ? said.shift() : said[0]
            if (batch instanceof Error) throw batch
            return { number: 0, batch }
          }
        } as never
      },
      about.device,
      about.kind,
      signal
    )
    return entry?.body
  }

  it('is the newest that any witness has, once one answers', async () => {
    const away = new Error('it cannot be reached')
    deepEqual(await ask({ one: [of(1)], two: [of(2, {}, 9)], three: [undefined], four: [away] }), { v: 2 })
    deepEqual(await ask({ one: [away, away, of(1)], two: [away] }), { v: 1 })
    equal(await ask({ one: [undefined] }), undefined)
    equal(await ask({ one: [of(1)] }, []), undefined)
    // carried over from a chain before
    const entry = encodeEntry({ ...entryOf(8, GENESIS.hash, { v: 5 }), ...about })
    deepEqual(await ask({ one: [of(0, { kind: 'moved', body: { entry } })] }), { v: 5 })
  })

  it('is nothing that the board has not signed, or that is about something else', async () => {
    const forged = { ...of(9), signature: new Uint8Array(64) }
    for (const wrong of [forged, of(9, { device: 'sas:8' }), of(9, { kind: 'money' })])
      deepEqual(await ask({ one: [wrong], two: [of(1)] }), { v: 1 })
  })
})
