import { execFileSync } from 'node:child_process'

/** Two network namespaces with a cable between them that can be pulled. */
export interface Namespaces {
  /** address of each side, and the command that starts a process there */
  sides: { host: string; through: string[] }[]
  pull(): void
  plug(): void
  remove(): void
}

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'pipe' })

/** Makes them, or gives undefined where this user may not. */
export function createNamespaces(): Namespaces | undefined {
  const sides = ['a', 'b'].map((side, i) => ({
    name: `artel-${process.pid}-${side}`,
    device: `artel-${side}`,
    host: `10.77.0.${i + 1}`
  }))
  const [near, far] = sides as [(typeof sides)[0], (typeof sides)[0]]
  const remove = (): void => {
    for (const { name } of sides) {
      try {
        ip('netns', 'del', name)
      } catch {
        // it was never made
      }
    }
  }
  try {
    for (const { name } of sides) ip('netns', 'add', name)
    const peer = ['peer', 'name', far.device, 'netns', far.name]
    ip('link', 'add', near.device, 'netns', near.name, 'type', 'veth', ...peer)
    for (const { name, device, host } of sides) {
      ip('-n', name, 'addr', 'add', `${host}/24`, 'dev', device)
      ip('-n', name, 'link', 'set', 'lo', 'up')
      ip('-n', name, 'link', 'set', device, 'up')
    }
  } catch {
    remove()
    return undefined
  }
  return {
    sides: sides.map(({ name, host }) => ({ host, through: ['ip', 'netns', 'exec', name] })),
    pull: () => ip('-n', near.name, 'link', 'set', near.device, 'down'),
    plug: () => ip('-n', near.name, 'link', 'set', near.device, 'up'),
    remove
  }
}
