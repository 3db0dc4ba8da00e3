import { strict as assert } from 'node:assert'
import { DatabaseSync } from 'node:sqlite'
import { defaultLogger } from '@libp2p/logger'
import { encodeManifest } from '../../scheduler/data/dataset.ts'
import { createDatasets, type DatasetsComponents } from '../../scheduler/jobs/datasets.ts'
import { createDatasetRows } from '../../scheduler/store/dataset-rows.ts'

/** Datasets of completed jobs, with what is on disk of their lists of parts. */
function scene(manifests: Record<string, Uint8Array | undefined>) {
  const store = {
    job: (id: string) => ({ id, type: 'map', state: 'completed', submitted: 0, finished: 1 }),
    result: (id: string) => manifests[id]
  } as unknown as DatasetsComponents['store']
  const told: Record<string, readonly string[]> = {}
  const datasets = createDatasets(
    {
      signal: new AbortController().signal,
      submit: () => assert.fail(),
      user: () => undefined,
      failUsers: () => assert.fail()
    },
    {
      store,
      rows: createDatasetRows(new DatabaseSync(':memory:')),
      self: 'me',
      blocks: { get: () => assert.fail() },
      stays: { put: () => assert.fail() },
      releases: {
        release: async (holder, jobs) => {
          told[holder] = jobs
        }
      },
      log: defaultLogger().forComponent('test')
    }
  )
  for (const id of Object.keys(manifests)) datasets.add(id)
  return { datasets, told, ids: () => datasets.list().map(({ id }) => id) }
}

describe('scheduler: datasets of a node', () => {
  it('are listed without one whose list of parts is lost, which says so and can be let go of', async () => {
    const { datasets, ids } = scene({ whole: encodeManifest([]), lost: undefined })
    assert.deepEqual(ids(), ['whole'])
    assert.throws(() => datasets.show('lost'), { name: 'DatasetMissingError', message: /lost/ })
    await datasets.release('lost')
    await assert.rejects(datasets.release('lost'), { name: 'DatasetMissingError', message: /released/ })
    assert.deepEqual(ids(), ['whole'])
  })

  it('tell who had parts, and may come back with them, and under the names of the jobs that made them again', async () => {
    const slice = { first: 0, count: 1, holders: ['now'], chunks: [] }
    const { datasets, told } = scene({
      id: encodeManifest([slice], { holders: ['before'], jobs: ['again'] })
    })
    await datasets.release('id')
    assert.deepEqual(told, { before: ['id', 'again'], now: ['id', 'again'] })
  })
})
