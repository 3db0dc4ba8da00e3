import { COMMANDS } from '../commands/help.ts'

/** What is there to be named. */
export interface Names {
  machines: readonly string[]
  disks: readonly string[]
}

type Kind = keyof Names | 'commands'

/** What stands at each place after a command; a name that the user makes up completes to nothing. */
const PLACES: Readonly<Record<string, readonly (Kind | undefined)[]>> = {
  AUTH: ['machines'],
  UPDATE_VM: ['machines'],
  LOGOUT: ['machines'],
  ADD_DISK: [undefined, 'machines'],
  REMOVE_VM: ['machines'],
  REMOVE_DISK: ['disks'],
  HELP: ['commands']
}

/** What can stand where the line ends, so that nothing is asked for where no name can. */
export function expected(line: string): Kind | undefined {
  const words = line.trimStart().split(/\s+/)
  if (words.length === 1) return 'commands'
  return PLACES[words[0]!.toUpperCase()]?.[words.length - 2]
}

/** Ways to go on with the last word of the line, and that word, as readline wants it. */
export function complete(line: string, { machines, disks }: Names): [hits: string[], word: string] {
  const word = /\S*$/.exec(line)![0]
  const kind = expected(line)
  if (kind === undefined) return [[], word]
  const names = { commands: Object.keys(COMMANDS), machines, disks }[kind]
  // commands in any case, ids as they are
  const start = kind === 'commands' ? word.toUpperCase() : word
  return [names.filter(name => name.startsWith(start)).map(name => `${name} `), word]
}
