import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { basename, join, resolve } from 'node:path'

/*
 * CPU profiles of what a bench starts and of the bench itself, where they are asked for with `--profile`.
 */

const WALLS = join(import.meta.dirname, 'profile-walls.ts')

let folder: string | undefined
let isWithin = false
const names = new Map<string, number>()

/**
 * From now on all that a bench starts is profiled into `path`, and this process. `walls`: what runs within walls as well, which
 * makes it many times slower. Resolves with what ends that.
 */
export async function profileInto(path: string, { walls = false } = {}): Promise<() => Promise<void>> {
  folder = resolve(path)
  isWithin = walls
  mkdirSync(folder, { recursive: true })
  const { env } = profiledAs('bench')
  Object.assign(process.env, env)
  if (walls) await import(WALLS)
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  return async () => {
    const { profile } = await session.post('Profiler.stop')
    writeFileSync(env.BENCH_PROFILE!, JSON.stringify(profile))
    session.disconnect()
  }
}

/** Flags of Node.js and variables for a process of this name; nothing where no profiles are asked for. */
export function profiledAs(name: string): { flags: string[]; env: NodeJS.ProcessEnv } {
  if (folder == null) return { flags: [], env: {} }
  const nth = (names.get(name) ?? 0) + 1
  names.set(name, nth)
  const file = join(folder, `${nth === 1 ? name : `${name}-${nth}`}.cpuprofile`)
  return {
    flags: [
      '--cpu-prof',
      `--cpu-prof-dir=${folder}`,
      `--cpu-prof-name=${basename(file)}`,
      ...(isWithin ? [`--import=${WALLS}`] : [])
    ],
    env: { BENCH_PROFILE: file }
  }
}
