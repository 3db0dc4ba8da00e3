import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { runJob } from '../cli/run-job.ts'
import type { Demo } from './contract.ts'
import { startCrew } from './crew.ts'
import type { DemoNode } from './stage.ts'
import { createSteps } from './steps.ts'

const JOB_MS = 300_000
const TEXTS = 1500
const MB = 1e6
/** Of the bytes that a step works with, what may pass through who asked for it. */
const MOST_MOVED = 0.01

/** 4,000 words of 26, by a linear congruential generator (Numerical Recipes). */
function write(seed: number): string {
  let state = seed
  const words: string[] = []
  for (let i = 0; i < 4000; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const letter = state >>> 24
    words.push(String.fromCharCode(97 + (letter % 26)).repeat(1 + (letter % 9)))
  }
  return words.join(' ')
}
const shout = (text: string): string => text.toUpperCase()
const turn = (text: string): string => text.split(' ').reverse().join(' ')
const words = (text: string): [string, number][] => text.split(' ').map(word => [word, 1])

/** Results that stay where they were made: the work comes to them, and what is lost is made again. */
export const data: Demo = {
  summary:
    'results that stay at three workers, mapped twice and counted there; one killed, what it had made again',
  async run(stage) {
    const { say, nodes } = stage
    const { client, bringBack } = await startCrew(stage)
    const names = new Map([...nodes.values()].map(({ id, name }) => [id, name]))
    const { steps, step, played } = createSteps(say)
    const signal = AbortSignal.timeout(JOB_MS)
    const { control } = client
    const run = (spec: object) => runJob(control, { verify: 'none', ...spec }, { signal })

    /** A job that leaves its results where they are made: what there is of them, and that hardly any came here. */
    async function keep(what: string, spec: object): Promise<string> {
      let id = ''
      await step(what, async () => {
        const before = await movedBy(client)
        const { report } = await run({ ...spec, keep: true })
        id = report.job
        const { items, bytes, holders } = await control.data.show({ id }, { signal })
        const moved = (await movedBy(client)) - before
        return {
          right: items === TEXTS && holders.length > 1 && moved < bytes * MOST_MOVED,
          detail: `${mb(bytes)} at ${holders
            .map(({ peer }) => names.get(peer))
            .sort()
            .join(', ')}; ${mb(moved)} moved by the client`
        }
      })
      return id
    }
    const texts = Array.from({ length: TEXTS }, (_, seed) => write(seed))
    const made = await keep(`${TEXTS} texts are written`, {
      type: 'map',
      range: { start: 0, end: TEXTS - 1 },
      fn: write
    })
    const first = await keep('mapped', { type: 'map', items: { dataset: made }, fn: shout })
    const second = await keep('mapped again', { type: 'map', items: { dataset: first }, fn: turn })

    await step('words counted', async () => {
      const before = await movedBy(client)
      const { result } = await run({
        type: 'map_reduce',
        items: { dataset: second },
        map: words,
        reduce: 'sum'
      })
      const moved = (await movedBy(client)) - before
      const counts = new Map(result as [string, number][])
      const expected = Map.groupBy(
        texts.flatMap(text => shout(text).split(' ')),
        word => word
      )
      const isRight = [...expected].every(([word, { length }]) => counts.get(word) === length)
      return {
        right: isRight && counts.size === expected.size,
        detail: `${counts.size} words, ${[...counts.values()].reduce((sum, count) => sum + count, 0)} in all; ${mb(moved)} moved by the client`
      }
    })

    await step('worker3 killed, all read', async () => {
      await stage.kill('worker3')
      const all = (await control.data.collect({ id: second }, { signal })) as string[]
      const expected = texts.map(text => turn(shout(text)))
      const isRight = all.length === TEXTS && expected.every((text, i) => all[i] === text)
      const again = (await control.compute.jobs({ limit: 50 }, { signal })).items.filter(({ name }) =>
        name?.endsWith('once more')
      )
      const { slices } = await control.data.show({ id: second }, { signal })
      const units = again.reduce((sum, { total }) => sum + total, 0)
      return {
        right: isRight && again.length > 0,
        detail: `${units} slices of three datasets made again, of ${slices} that each has; every item as it was`
      }
    })

    await step('released', async () => {
      await bringBack('worker3')
      for (const id of [second, first, made]) await control.data.release({ id }, { signal })
      const { items } = await control.data.list({}, { signal })
      const files = await Promise.all([...nodes.values()].map(({ folder }) => filesIn(join(folder, 'kept'))))
      const left = files.reduce((sum, count) => sum + count, 0)
      return { right: items.length === 0 && left === 0, detail: `${left} files left on five disks` }
    })
    return played(steps.length === 6)
  }
}

/** Bytes over all connections of a node so far, both ways. */
async function movedBy({ control }: DemoNode): Promise<number> {
  const figures = await control.settings.metrics()
  const all = figures.matchAll(/^libp2p_data_transfer_bytes_total\{protocol="global \w+"\} (\d+)/gm)
  return [...all].reduce((sum, [, bytes]) => sum + Number(bytes), 0)
}

async function filesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).length
}

const mb = (bytes: number): string => `${(bytes / MB).toFixed(bytes < MB ? 2 : 0)} MB`
