import { mkdir, rm } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import {
  type Health,
  type Patience,
  type Program,
  ReleaseError,
  slots,
  unpackRelease
} from '../services/index.ts'
import { takeRelease } from './signed-release.ts'
import { VERSION } from './version.ts'

const { readState, writeState } = slots

export interface UpdatesInit {
  data: string
  /** peer ids whose releases are taken */
  signers(): readonly string[]
  /** how the services are, where they run */
  health(): readonly Pick<Health, 'service' | 'state'>[]
  /** Ends what runs, soon, and begins what stands in the state; undefined: nobody here can. */
  restart: (() => void) | undefined
}

export interface Updates {
  program(): Promise<Program>
  /** @throws {ReleaseError} it is not signed by whom it must be, or does not even say its version */
  update(input: { path: string } & Patience): Promise<Program>
  /** @throws {ReleaseError} nothing ran before */
  rollback(input: Patience): Promise<Program>
}

/** Puts another program in the place of the one that runs: this says it in the state, `runRelease` does it. */
export function createUpdates(init: UpdatesInit): Updates {
  const folder = join(init.data, slots.RELEASES)
  let isBusy = false

  /** One at a time: two would write into one slot. */
  async function alone<T>(work: () => Promise<T>): Promise<T> {
    if (isBusy) throw new ReleaseError('another release is made ready at this moment; wait for its end')
    isBusy = true
    try {
      return await work()
    } finally {
      isBusy = false
    }
  }

  async function program(): Promise<Program> {
    const state = await readState(folder)
    const { trial, failed } = state
    const former = formerOf(state)
    return {
      version: versionOf(state, state.current ?? 'base'),
      ...(former != null && { former: versionOf(state, former) }),
      ...(trial != null && { trial: versionOf(state, trial.slot) }),
      ...(failed != null && {
        failed: {
          version: failed.version,
          why: failed.why,
          ...(failed.faults != null && { faults: failed.faults })
        }
      })
    }
  }

  async function ready(): Promise<slots.SlotState> {
    if (init.restart == null)
      throw new ReleaseError(
        'another program has started this node, or artel launch for its fleet, and says what runs; artel start leaves it to you'
      )
    const { failed, ...state } = await readState(folder)
    if (state.trial != null)
      throw new ReleaseError(`${versionOf(state, state.trial.slot)} is on trial; wait for its end`)
    return { ...state, ...(state.current == null && { installed: VERSION }) }
  }

  async function tryIt(
    state: slots.SlotState,
    slot: slots.Program,
    { startSeconds, healthSeconds }: Patience
  ): Promise<Program> {
    const failing = init.health().filter(({ state: is }) => is === 'failed')
    await writeState(folder, {
      ...state,
      trial: {
        slot,
        starts: 0,
        healthMs: healthSeconds * 1000,
        startMs: startSeconds * 1000,
        failing: failing.map(each => each.service)
      }
    })
    return program()
  }

  /** Ends what runs when the answer has nothing left to wait for: whoever asked would not get it any more. */
  async function thenRestart(work: () => Promise<Program>): Promise<Program> {
    const answer = await alone(work)
    init.restart?.()
    return answer
  }

  return {
    program,
    update: ({ path, ...patience }) =>
      thenRestart(async () => {
        if (!isAbsolute(path))
          throw new ReleaseError(`${path} is relative; write the whole path, beginning with /`)
        await mkdir(folder, { recursive: true, mode: 0o700 })
        const before = await ready()
        const copy = join(folder, 'update.tgz')
        try {
          const { version, sha256 } = await takeRelease(path, copy, init.signers())
          const { slot, state } = await unpackRelease(folder, before, { version, sha256, path: copy })
          return await tryIt(state, slot, patience)
        } finally {
          await rm(copy, { force: true })
        }
      }),
    rollback: patience =>
      thenRestart(async () => {
        const state = await ready()
        const former = formerOf(state)
        if (former == null) throw new ReleaseError('nothing ran here before what runs now')
        return tryIt(state, former, patience)
      })
  }
}

const versionOf = (state: slots.SlotState, place: slots.Program): string =>
  place === 'base' ? (state.installed ?? VERSION) : (state[place]?.version ?? place)

/** What was installed is always there. Pure. */
const formerOf = ({ former, current }: slots.SlotState): slots.Program | undefined =>
  former ?? (current == null ? undefined : 'base')
