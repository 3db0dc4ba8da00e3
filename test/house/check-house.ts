import path from 'node:path'
import { type Import, readSource, type Source } from './imports.ts'
import type { Rules } from './rules.ts'

export interface Fault {
  /** Stays the same while other lines move: what `known` names. */
  key: string
  file: string
  line: number
  /** What is wrong and what to do. */
  message: string
}

/**
 * Every breach of the rules in a tree.
 * @param texts the source files: path in the repository → content
 * @param others the paths of all other files, which comments may cite
 */
export function checkHouse(
  texts: ReadonlyMap<string, string>,
  others: readonly string[],
  rules: Rules
): Fault[] {
  const sources = new Map([...texts].map(([file, text]) => [file, readSource(file, text)]))
  const faults = [
    ...importFaults(sources, rules.rooms),
    ...circles(sources),
    ...citations(sources, [...texts.keys(), ...others]),
    ...sizes(sources, rules)
  ]
  const stale = rules.known.filter(known => faults.every(({ key }) => key !== known))
  return [
    ...faults.filter(({ key }) => !rules.known.includes(key)),
    ...stale.map(key => ({
      key,
      file: 'test/house/rules.ts',
      line: 1,
      message: `"${key}" is mended: take it out of known`
    }))
  ]
}

function importFaults(sources: ReadonlyMap<string, Source>, rooms: Rules['rooms']): Fault[] {
  return [...sources].flatMap(([file, { imports }]) => {
    const from = roomOf(file, rooms)
    if (from == null) {
      const message = `${path.posix.dirname(file)}/ is no room: name it in test/house/rules.ts with what it may import`
      return [{ key: `room ${file}`, file, line: 1, message }]
    }
    return imports.flatMap(({ to, line }) => {
      const message = refusal(from, to, rooms)
      return message == null ? [] : [{ key: `import ${file} ${to}`, file, line, message }]
    })
  })
}

/** The innermost room of the table. Where a top-level room has rooms, a folder in it needs a line of its own. */
function roomOf(file: string, rooms: Rules['rooms']): string | undefined {
  const [top = '', folder, ...rest] = file.split('/')
  const hasRooms = Object.keys(rooms).some(name => name.startsWith(`${top}/`))
  const room = hasRooms && rest.length > 0 ? `${top}/${folder}` : top
  return allowedFor(room, rooms) == null ? undefined : room
}

const levelOf = (room: string) => room.replace(/\/.*/, '/*')

function allowedFor(room: string, rooms: Rules['rooms']) {
  return rooms[room] ?? rooms[levelOf(room)]
}

/** What is entered through one door: a top-level room, a service. */
function wingOf(room: string) {
  return room.startsWith('services/') ? room : room.replace(/\/.*/, '')
}

function refusal(from: string, to: string, rooms: Rules['rooms']): string | undefined {
  const room = roomOf(to, rooms)
  const allowed = allowedFor(from, rooms) ?? []
  const names = (name: string) => allowed.includes(name) || allowed.includes(levelOf(name))
  if (room == null || room === from || allowed.includes(to) || allowed.includes('*')) return
  const wing = wingOf(room)
  if (wing === wingOf(from) ? names(room) : names(wing)) {
    const door = `${wing}/index.ts`
    if (wing === wingOf(from) || to === door) return
    return `${to} is behind a door: take what it gives from ${door}, or have it exported there`
  }
  const list = allowed.length === 0 ? 'no other room' : `only ${allowed.join(', ')}`
  return `${from}/ may import ${list}, not ${to}: move what both need down, or hand it over as an argument`
}

/** One fault for each group of files that import each other, with its shortest circle. */
function circles(sources: ReadonlyMap<string, Source>): Fault[] {
  const faults: Fault[] = []
  const told = new Set<string>()
  for (const file of sources.keys()) {
    if (told.has(file)) continue
    const circle = shortestCircle(file, sources)
    if (circle == null) continue
    for (const { to } of circle) told.add(to)
    const files = circle.map(({ to }) => to)
    faults.push({
      key: `circle ${[...files].sort().join(' ')}`,
      file,
      line: circle[0]?.line ?? 1,
      message: `a circle: ${[file, ...files].join(' → ')}: put what both ends need in a file that imports neither`
    })
  }
  return faults
}

/** Breadth first over the imports, from a file back to itself. */
function shortestCircle(file: string, sources: ReadonlyMap<string, Source>): Import[] | undefined {
  const cameBy = new Map<string, { from: string; step: Import }>()
  const queue = [file]
  for (const at of queue) {
    for (const step of sources.get(at)?.imports ?? []) {
      if (cameBy.has(step.to)) continue
      cameBy.set(step.to, { from: at, step })
      if (step.to === file) return walkBack(file, cameBy)
      queue.push(step.to)
    }
  }
}

function walkBack(file: string, cameBy: ReadonlyMap<string, { from: string; step: Import }>): Import[] {
  const walk: Import[] = []
  let at = file
  do {
    const { from, step } = cameBy.get(at)!
    walk.unshift(step)
    at = from
  } while (at !== file)
  return walk
}

// names of data (json, js) are examples of users' files more often than citations
const CITED = /[\w@./:-]*\w\.(?:md|tsx?|mjs|sh)\b/g

function citations(sources: ReadonlyMap<string, Source>, files: readonly string[]): Fault[] {
  const endings = new Set(
    files.flatMap(file => file.split('/').map((_, i, parts) => parts.slice(i).join('/')))
  )
  return [...sources].flatMap(([file, { comments }]) =>
    comments.flatMap(({ text, line }) =>
      [...text.matchAll(CITED)].flatMap(({ 0: cited, index }) => {
        const exists = endings.has(cited) || endings.has(path.posix.join(path.posix.dirname(file), cited))
        if (exists || isAddress(cited)) return []
        return {
          key: `citation ${file} ${cited}`,
          file,
          line: line + text.slice(0, index).split('\n').length - 1,
          message: `the comment cites ${cited}, which is not in the repository: say here what is to be known`
        }
      })
    )
  )
}

/** `example.org/page.md`: what stands elsewhere may be cited with its host. */
const isAddress = (cited: string) => /^(https?:\/\/|[\w-]+(\.[\w-]+)+\/)/.test(cited)

function sizes(sources: ReadonlyMap<string, Source>, { maxLines, maxMedianLines }: Rules): Fault[] {
  const byLines = [...sources].sort(([, a], [, b]) => a.lines - b.lines)
  const long = byLines
    .filter(([, { lines }]) => lines > maxLines)
    .map(([file, { lines }]) => ({
      key: `size ${file}`,
      file,
      line: maxLines + 1,
      message: `${lines} lines, where ${maxLines} are the limit: split it by what it holds`
    }))
  const [file, middle] = byLines[Math.floor((byLines.length - 1) / 2)] ?? []
  if (file == null || middle == null || middle.lines <= maxMedianLines) return long
  const message = `the median of all files is ${middle.lines} lines, where ${maxMedianLines} are the limit: split the long ones`
  return [...long, { key: 'median', file, line: 1, message }]
}
