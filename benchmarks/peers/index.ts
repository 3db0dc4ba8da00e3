import { packageVersion } from '../harness/report.ts'
import type { PeerKind } from './contract.ts'
import { FOLDER, GET, pools } from './pools.ts'
import { versionOf } from './processes.ts'
import { dask, PYTHON } from './python.ts'
import { bullmqs, queues } from './queues.ts'

export {
  COMPUTATIONS,
  type Computation,
  computationSpec,
  daskComputing,
  matrices,
  mlMatrixProduct,
  piscinaComputing,
  threads
} from './compute.ts'
export type { Peer, PeerKind } from './contract.ts'
export { dask, startPython } from './python.ts'
export { startStreams } from './streams.ts'
export { TRAINING, tfjsTraining, trainingOf, trainingSpec } from './training.ts'
export { startWordThreads } from './words.ts'

type Installable = Pick<PeerKind, 'name' | 'get' | 'version'>

/** Everything that runs tiny tasks. */
export const TASK_PEERS: PeerKind[] = [...pools, ...queues, dask]

/** What a job alone is measured beside. */
export const JOB_PEERS = bullmqs

const npm = (name: string, folder = name): Installable => ({
  name,
  get: GET,
  version: async () => packageVersion(`${FOLDER}node_modules/${folder}`)
})

/** What computes beside plain threads. */
export const COMPUTE_PEERS: Installable[] = [npm('piscina'), dask]

/** What trains a network. */
export const TRAINING_PEERS = [npm('tfjs', '@tensorflow/tfjs')]

/** What multiplies matrices. */
export const MATRIX_PEERS = [
  npm('ml-matrix'),
  {
    name: 'numpy',
    get: 'apt-get install python3-numpy libopenblas0-pthread',
    version: () => versionOf(PYTHON, '-c', 'import numpy; print(numpy.__version__)')
  }
]

/** Version by name; what is missing is named with how to get it. */
export async function peerVersions(peers: Installable[]): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const { name, get, version } of peers)
    found[name] = await version().catch(() => `missing, get it with: ${get}`)
  return found
}

/** The names of those that are installed. */
export async function present(peers: Installable[]): Promise<Set<string>> {
  return new Set((await installed(peers)).map(({ name }) => name))
}

/** Those that are installed; the others are named on standard error. */
export async function installed<P extends Installable>(peers: P[]): Promise<P[]> {
  const versions = await peerVersions(peers)
  return peers.filter(({ name }) => {
    const isMissing = versions[name]!.startsWith('missing')
    if (isMissing) console.error(`${name}: ${versions[name]}`)
    return !isMissing
  })
}
