import { execFile } from 'node:child_process'
import { POKER_CLASSES, pokerClass } from '../services/analyzer/poker.ts'
import { poker, type Spec, wheel } from '../services/analyzer/presets.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { type Fleet, startFleet } from './harness/fleet.ts'
import { alternate, beside, besideRows, ratios, summary } from './harness/statistics.ts'
import { versionOf } from './peers/processes.ts'
import { PYTHON } from './peers/python.ts'

/** From high card to royal flush. */
const KNOWN = [1_302_540, 1_098_240, 123_552, 54_912, 10_200, 5108, 3744, 624, 36, 4]
/** Times in /proc are counted in steps of 10 ms. */
const JOBS = 10
const PYTHON_LOOP = 'itertools of Python'
const NODE_LOOPS = 'loops in plain Node'

export const metrics: Record<string, string> = {
  'analyzer.hands':
    'CPU time of the walled process for the classes of all 2,598,960 poker hands, one worker; peers: the same evaluator in one process',
  'analyzer.hands-share': 'speed of analyzer.hands as a multiple of the peer',
  'analyzer.workers': 'speed of two workers on all 133,784,560 hands of seven cards, one worker = 1',
  'analyzer.workers-long':
    'the same on all 13,983,816 draws of 6 from 49 beside 50 tickets, several times as much work'
}

export const versions = async (): Promise<Record<string, string>> => ({
  python: await versionOf(PYTHON, '-c', 'import platform; print(platform.python_version())')
})

/** The same evaluator over the same hands: behind the walls of one worker, in loops of Node, in a loop over itertools. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 5
  await using one = await startFleet({ workers: 1 })
  const rows = besideRows(
    'analyzer.hands',
    'ms',
    await beside(
      rounds,
      () => cpuOfHands(one),
      { [NODE_LOOPS]: nodeLoops, [PYTHON_LOOP]: pythonLoop },
      failed
    ),
    'analyzer.hands-share'
  )
  await using two = await startFleet({ workers: 2 })
  const tickets = Array.from({ length: 100 }, (_, i) =>
    [1, 2, 3, 4, 5, 6].map(j => ((i * 7 + j * j) % 49) + 1)
  )
  for (const [metric, spec] of [
    ['analyzer.workers', poker(quick ? 6 : 7)],
    ['analyzer.workers-long', wheel(quick ? 30 : 49, 6, tickets)]
  ] as const) {
    const times = await alternate(quick ? 1 : 3, {
      one: () => timeOf(one, spec),
      two: () => timeOf(two, spec)
    })
    rows.push(summary(metric, '×', ratios(times.one, times.two)))
  }
  return rows
}

const unverified = ({ evaluate, ...spec }: Spec): object => ({
  ...spec,
  evaluate: String(evaluate),
  verify: 'none'
})

async function cpuOfHands({ client, cpuOf }: Fleet): Promise<number> {
  const { sandbox } = await cpuOf(async () => {
    for (let i = 0; i < JOBS; i++) {
      const { value } = await client.call('job', unverified(poker(5)))
      right((value as { value: [number, number][] }).value.map(([, count]) => count))
    }
  })
  return sandbox / JOBS
}

const timeOf = async ({ client }: Fleet, spec: Spec): Promise<number> =>
  (await client.call('job', unverified(spec))).ms

function right(counts: number[]): void {
  if (String(counts) !== String(KNOWN)) throw new Error(`the classes are ${counts}, not ${KNOWN}`)
}

/** ms of CPU time, and the counts, that a program prints. */
function timed(program: string, args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    execFile(program, args, (error, stdout) => {
      if (error != null) return reject(error)
      const [ms, ...counts] = stdout.trim().split(/\s+/).map(Number)
      try {
        right(counts)
        resolve(ms!)
      } catch (err) {
        reject(err)
      }
    })
  })
}

const nodeLoops = (): Promise<number> =>
  timed(process.execPath, [
    '-e',
    `${pokerClass}
const hand = new Int32Array(5)
const counts = new Float64Array(${POKER_CLASSES.length})
const before = process.cpuUsage()
for (let a = 0; a < 48; a++)
  for (let b = a + 1; b < 49; b++)
    for (let c = b + 1; c < 50; c++)
      for (let d = c + 1; d < 51; d++)
        for (let e = d + 1; e < 52; e++) {
          hand[0] = a; hand[1] = b; hand[2] = c; hand[3] = d; hand[4] = e
          counts[pokerClass(hand)]++
        }
const { user, system } = process.cpuUsage(before)
console.log((user + system) / 1000, ...counts)`
  ])

const pythonLoop = (): Promise<number> =>
  timed(PYTHON, [
    '-c',
    `
import time
from itertools import combinations

def straight(ranks):
    row = (ranks << 1) | (ranks >> 12)
    return row & (row >> 1) & (row >> 2) & (row >> 3) & (row >> 4)

def beyond_four(ranks):
    rest = ranks & (ranks - 1)
    rest &= rest - 1
    rest &= rest - 1
    return rest & (rest - 1)

def poker_class(hand):
    suits = [0, 0, 0, 0]
    for card in hand:
        suits[card & 3] |= 1 << (card >> 2)
    a, b, c, d = suits
    flush = 0
    if beyond_four(a):
        flush = a
    elif beyond_four(b):
        flush = b
    elif beyond_four(c):
        flush = c
    elif beyond_four(d):
        flush = d
    if flush:
        lowest = straight(flush)
        if lowest:
            return 9 if lowest >= 1 << 9 else 8
    pairs = (a & b) | (c & d) | ((a | b) & (c | d))
    if pairs:
        if a & b & c & d:
            return 7
        triples = (a & b & (c | d)) | (c & d & (a | b))
        are_several = pairs & (pairs - 1)
        if triples and are_several:
            return 6
        if flush:
            return 5
        if straight(a | b | c | d):
            return 4
        if triples:
            return 3
        return 2 if are_several else 1
    if flush:
        return 5
    return 4 if straight(a | b | c | d) else 0

begin = time.process_time()
counts = [0] * ${POKER_CLASSES.length}
for hand in combinations(range(52), 5):
    counts[poker_class(hand)] += 1
print((time.process_time() - begin) * 1000, *counts)
`
  ])
