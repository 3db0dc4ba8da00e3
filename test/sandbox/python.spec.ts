import { strict as assert } from 'node:assert'
import { createSandbox, encodeValue, type Outcome, type Sandbox, type Session } from '../../sandbox/index.ts'
import { read } from '../compliance/sandbox.ts'
import { type Canary, createCanary } from './canary.ts'
import { descendants, eventually } from './processes.ts'

const limits = { timeoutMs: 300_000, memoryMb: 256, outputBytes: 1 << 24 }

/** Each keeps something if it can, and tells what it found. */
const KEEPING = {
  'a global': 'global n; n += 1; return n',
  'a list': 'seen.append(x); return len(seen)',
  'a default argument':
    'def f(a=[]):\n    a.append(1)\n    return len(a)\n  K.f = getattr(K, "f", f); return K.f()',
  'a class': 'K.count += 1; return K.count',
  'a cache': 'return cached(x), cached.cache_info().misses, cached.cache_info().hits',
  'a generator': 'return next(ticks)',
  builtins: 'import builtins\n  had = hasattr(builtins, "mine"); builtins.mine = 1; return had',
  'a patched module':
    'import math\n  before = math.floor(2.5); math.floor = lambda x: 7; return before, math.floor(2.5)',
  'a new module':
    'import sys, types\n  had = "mine" in sys.modules; sys.modules["mine"] = types.ModuleType("mine"); return had',
  'an import': 'import sys\n  had = "decimal" in sys.modules; import decimal; return had',
  'the environment': 'import os\n  had = os.environ.get("MINE"); os.environ["MINE"] = "1"; return had',
  'the seed of chance': 'import random\n  random.seed(1 if n else 2); return random.getstate()[1][0]',
  'the recursion limit':
    'import sys\n  had = sys.getrecursionlimit(); sys.setrecursionlimit(had + 50); return had',
  'a file':
    'import os\n  open("/tmp/a", "a").write("x"); os.makedirs("/tmp/b/c", exist_ok=True); open("/tmp/b/c/d", "w"); return open("/tmp/a").read()',
  'the working folder':
    'import os\n  had = os.getcwd(); os.chdir("/tmp"); open("a", "a").write("x"); return had, open("a").read()',
  'an open file': 'import os\n  fd = os.open("/tmp/a", os.O_CREAT | os.O_RDWR); os.dup2(fd, 1); return fd',
  'a file number': 'import os\n  open("/tmp/q", "w"); return os.stat("/tmp/q").st_ino',
  'the address of an object': 'seen.append([0] * 1000); return id(seen[-1])',
  'memory that grew': 'b = bytearray(60_000_000); b[-1] = 1; return id(b)',
  'what the collector does': 'import gc\n  had = gc.isenabled(); gc.disable(); return had',
  'a signal handler':
    'import signal\n  had = str(signal.getsignal(signal.SIGINT))[:10]; signal.signal(signal.SIGINT, signal.SIG_IGN); return had',
  'standard output':
    'import io, sys\n  had = type(sys.stdout).__name__; sys.stdout = io.StringIO(); return had',
  'the event loop':
    'import asyncio\n  async def f():\n    await asyncio.sleep(3); return asyncio.get_running_loop().time()\n  return asyncio.run(f())',
  'memory through ctypes':
    'import ctypes\n  b = ctypes.create_string_buffer(8); had = b.raw[0]; b.raw = b"12345678"; seen.append(b); return had, len(seen)'
}

const CHANCE = {
  random: 'import random\n  return [random.random(), random.choice("abc")]',
  uuid: 'import uuid\n  return str(uuid.uuid4())',
  urandom: 'import os\n  return os.urandom(8)',
  secrets: 'import secrets\n  return secrets.token_hex(4)'
}

const CLOCKS = {
  time: 'import time\n  return time.time(), time.monotonic(), time.perf_counter(), time.gmtime()[:6], time.localtime()[:6]',
  date: 'import datetime\n  return str(datetime.datetime.now()), str(datetime.date.today())',
  sleep: 'import time\n  time.sleep(3600); return time.time()',
  set: 'return list({"a", "b", "c", "d", "e"}), list({3, 1, 2}), hash("artel")',
  objects: 'return [o.i for o in {K(i) for i in range(9)}], repr(object())',
  node: 'import platform, socket, os, sys\n  return platform.platform(), socket.gethostname(), os.getpid(), sys.argv'
}

const FAULTS = {
  threw: 'return inner(x)',
  recursion: 'def f(i):\n    return f(i + 1)\n  return f(0)',
  'deep data': 'a = []\n  for i in range(100_000): a = [a]\n  import json\n  return json.dumps(a)',
  exit: 'raise SystemExit(3)',
  memory: 'return len([0] * 10**9)',
  'memory piece by piece': 'a = []\n  while True: a.append(bytearray(1_000_000))',
  'a set': 'return {1, 2}',
  'a number as key': 'return {1: 2}',
  itself: 'a = []\n  a.append(a)\n  return a',
  'no package': 'import numpy',
  'a thread': 'import threading\n  threading.Thread(target=print).start()',
  waiting:
    'import asyncio\n  async def f():\n    await asyncio.get_running_loop().create_future()\n  return asyncio.run(f())'
}

const CAUGHT = {
  memory: 'try:\n    len([0] * 10**9)\n  except MemoryError: return "no room"',
  'memory piece by piece':
    'try:\n    a = []\n    while True: a.append(bytearray(1_000_000))\n  except MemoryError: del a; return "no room"',
  recursion: 'def f(i):\n    return f(i + 1)\n  try:\n    f(0)\n  except RecursionError: return "too deep"'
}

const HOSTILE = {
  file: 'return open(x["file"]).read()',
  'the root': 'import os\n  return [os.listdir("/"), os.listdir("/home"), os.listdir("/proc")]',
  environment: 'import os\n  return dict(os.environ)',
  port: 'import socket\n  s = socket.socket(); s.connect(("127.0.0.1", x["port"])); return "in"',
  http: 'import urllib.request\n  return urllib.request.urlopen(f"http://127.0.0.1:{x["port"]}").read()',
  process: 'import subprocess\n  return subprocess.run(["sleep", "60"])',
  shell: 'import os\n  return os.system("touch " + x["folder"] + "/tripped")',
  fork: 'import os\n  return os.fork()',
  native: 'import ctypes\n  return ctypes.CDLL("libc.so.6").system(b"true")',
  'the engine': 'import js\n  return js.globalThis.process.env.to_py()',
  'its interpreter': 'from pyodide.code import run_js\n  return run_js("1 + 1")',
  'modules that are gone':
    'import sys, importlib\n  return [str(importlib.import_module(m)) for m in ("_pyodide_core", "pyodide_js")]',
  'objects of the collector': `import gc
  found = []
  for o in gc.get_objects():
    if type(o).__module__.startswith("pyodide") or type(o).__name__ == "JsProxy":
      for path in (("constructor", "constructor"), ("process",), ("globalThis",)):
        try:
          at = o
          for name in path: at = getattr(at, name)
          found.append(str(at("return this.process && process.env.ARTEL_CANARY")) if callable(at) else str(at))
        except BaseException as error: found.append(type(error).__name__)
  return found`,
  'the library on disk': 'open("/lib/python314.zip", "r+b").write(b"no")',
  'a device': 'return open("/dev/random", "rb").read(4), open("/dev/mem", "rb").read(4)'
}

const WHEEL = {
  wheel: `import io, zipfile
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as wheel:
    wheel.writestr("greeting/__init__.py", "def hello(name): return f'hello {name}'")
    wheel.writestr("greeting-1.0.dist-info/METADATA", "Name: greeting")
  return file.getvalue()`
}

const source = (groups: Record<string, Record<string, string>>): string => `
import functools, itertools
n = 0
seen = []
ticks = itertools.count()

class K:
  count = 0
  def __init__(self, i): self.i = i

@functools.cache
def cached(x): return 1

def inner(x):
  return 1 // 0
${Object.values(groups)
  .flatMap(group => Object.values(group))
  .map((body, i) => `\ndef f${i}(x):\n  global n\n  ${body.replace(/^global n; /, '')}\n`)
  .join('')}
functions = [f for name, f in globals().items() if name.startswith('f') and name[1:].isdigit()]

def main(item):
  if item is None: return None
  i, x = item
  return functions[i](x)
`

describe('sandbox: Python', () => {
  const groups = { KEEPING, CHANCE, CLOCKS, FAULTS, CAUGHT, HOSTILE, WHEEL }
  const names = Object.values(groups).flatMap(Object.keys)
  const numberOf = (group: keyof typeof groups, name: string): number =>
    Object.keys(groups)
      .slice(0, Object.keys(groups).indexOf(group))
      .reduce((sum, each) => sum + Object.keys(groups[each as keyof typeof groups]).length, 0) +
    Object.keys(groups[group]).indexOf(name)
  let sandbox: Sandbox
  let session: Session
  let canary: Canary

  const open = (text: string, context?: unknown): Promise<Session> =>
    sandbox.open(
      {
        kind: 'python',
        source: text,
        seed: 'seed',
        context: context === undefined ? undefined : encodeValue(context)
      },
      { limits, requester: 'stranger' }
    )
  const slice = (items: unknown[], first = 0): Uint8Array => encodeValue({ first, items })
  const outcomeOf = async (...items: unknown[]): Promise<Outcome> => (await session.run([slice(items)]))[0]!
  const resultOf = async (...items: unknown[]): Promise<unknown> => read(await outcomeOf(...items))

  before(async () => {
    canary = await createCanary()
    sandbox = createSandbox({ lazy: true })
    await sandbox.start()
    assert.ok(sandbox.walled, `walls are missing: ${JSON.stringify(sandbox.walls)}`)
    // what was looked at when it started may still be there
    await eventually('nothing of Python is started', () => descendants(process.pid).length === 0)
    session = await open(source(groups))
    assert.equal(session.class, 'pyodide-314.0.7')
  })
  after(async () => {
    await session?.close()
    await sandbox.stop()
    await canary.close()
    await eventually('no child is left', () => descendants(process.pid).length === 0)
  })

  it('gives nothing of an item to the next', async () => {
    const items = Object.keys(KEEPING).flatMap(name => {
      const item = [numberOf('KEEPING', name), 'x']
      return [item, item, item]
    })
    const results = (await resultOf(...items)) as unknown[]
    assert.ok(Array.isArray(results), JSON.stringify(results))
    const kept = Object.keys(KEEPING).filter((_, i) =>
      [1, 2].some(k => JSON.stringify(results[3 * i]) !== JSON.stringify(results[3 * i + k]))
    )
    assert.deepEqual(kept, [])
    assert.equal(results[0], 1)
  })

  it('gives the same bytes for every cut, in every process, with the chance of the place', async () => {
    const items = [...Object.keys(CHANCE), ...Object.keys(CHANCE)]
      .map(name => [numberOf('CHANCE', name), 0])
      .concat(Object.keys(CLOCKS).map(name => [numberOf('CLOCKS', name), 0]))
    const whole = (await resultOf(...items)) as unknown[]
    const again = await open(source(groups))
    try {
      const cuts = await again.run(items.map((item, i) => slice([item], i)))
      assert.deepEqual(
        cuts.flatMap(outcome => read(outcome) as unknown[]),
        whole
      )
      const halves = await again.run([slice(items.slice(0, 5)), slice(items.slice(5), 5)])
      assert.deepEqual(
        halves.flatMap(outcome => read(outcome) as unknown[]),
        whole
      )
    } finally {
      await again.close()
    }
    for (let i = 0; i < 4; i++)
      assert.notDeepEqual(whole[i], whole[i + 4], names[numberOf('CHANCE', 'random') + i])
    const year2000 = [2000, 1, 1, 0, 0, 0]
    assert.deepEqual(whole[8], [946684800, 0, 0, year2000, year2000])
    assert.equal(whole[10], 946684800)
  })

  it('values come back as they went', async () => {
    const values = [
      ...[0, 1, -1, 2 ** 53 - 1, 1 - 2 ** 53, 1.5, -0, 1e300, Number.NaN, Number.POSITIVE_INFINITY, 5e-324],
      ...[2n ** 53n, -(2n ** 200n), true, false, null, '', 'ä€😀\0', '\ud800x', 'x'.repeat(10_000)],
      ...[[], [[1], ['a', [null]]], {}, { b: 1, a: { c: [] }, 7: 2, 3: 1 }, JSON.parse('{"__proto__":1}')],
      ...[
        new Uint8Array([1, 255]),
        new Float64Array([1.5, Number.NaN]),
        new Int16Array([-3]),
        new BigInt64Array([-5n])
      ],
      ...[new Uint32Array([2 ** 32 - 1]), new Float32Array(0)]
    ]
    const echo = await open('def main(x):\n  return x')
    try {
      const [outcome] = await echo.run([slice(values)])
      assert.deepEqual(outcome!.ok && Buffer.from(outcome!.value), Buffer.from(encodeValue(values)))
      const range = await echo.run([encodeValue({ first: 2, start: 10, step: 5, count: 3 })])
      assert.deepEqual(range.map(read), [[20, 25, 30]])
    } finally {
      await echo.close()
    }
  })

  it('says what went wrong, where, and what to do', async () => {
    const told = async (name: string) => await resultOf([numberOf('FAULTS', name), 0])
    const { stack, ...threw } = (await told('threw')) as { stack: string }
    assert.deepEqual(threw, { name: 'threw', message: 'ZeroDivisionError: division by zero' })
    assert.match(stack, /^ +at inner \(task:15\)\n +at f\d+ \(task:\d+\)\n +at main \(task:\d+\)$/)
    const ends: Record<string, [string, RegExp]> = {
      recursion: ['threw', /^RecursionError: maximum recursion depth/],
      'deep data': ['threw', /^RecursionError: /],
      exit: ['threw', /^SystemExit: 3/],
      memory: ['out-of-memory', /^MemoryError/],
      'memory piece by piece': ['out-of-memory', /MemoryError|more than 256 MB/],
      'a set': ['invalid-result', /a value of type set cannot cross the wall; give sorted/],
      'a number as key': ['invalid-result', /a key of type int cannot cross the wall; keys are strings/],
      itself: ['invalid-result', /cyclic or deeper than 256/],
      'no package': ['threw', /^ModuleNotFoundError: No module named 'numpy'/],
      'a thread': ['threw', /^RuntimeError: can't start new thread/],
      waiting: ['threw', /nothing in the sandbox can settle what is awaited/]
    }
    for (const [name, [end, message]] of Object.entries(ends)) {
      const failure = (await told(name)) as { name: string; message: string }
      assert.equal(failure.name, end, `${name}: ${JSON.stringify(failure)}`)
      assert.match(failure.message, message)
    }
    for (const name of Object.keys(CAUGHT)) {
      const [found] = (await resultOf([numberOf('CAUGHT', name), 0])) as unknown[]
      assert.match(String(found), /no room|too deep/, name)
    }
  })

  it('reaches nothing', async () => {
    const seen = Object.keys(HOSTILE).map(
      name => [name, resultOf([numberOf('HOSTILE', name), canary.bait])] as const
    )
    for (const [name, result] of seen) {
      const text = JSON.stringify(await result)
      assert.deepEqual(canary.trips(text), [], `${name}: ${text}`)
      assert.doesNotMatch(text, /"in"/, name)
    }
    assert.deepEqual(await resultOf(null), [null])
  })

  it('a loop, too much memory and a broken interpreter end their item, and the next ones go on', async () => {
    const ends = `
import os
def main(x):
  if x == 'loop':
    while True: pass
  if x == 'exit': os._exit(3)
  if x == 'native':
    import ctypes
    ctypes.memset(16, 255, 20_000_000)
  print('said', x)
  return x
`
    const some = await sandbox.open(
      { kind: 'python', source: ends },
      { limits: { ...limits, timeoutMs: 15_000 }, requester: 'stranger' }
    )
    try {
      const items = ['a', 'loop', 'b', 'exit', 'native', 'c']
      const outcomes = await some.run(items.map(item => slice([item])))
      assert.deepEqual(
        outcomes.map(outcome => (outcome.ok ? (read(outcome) as string[])[0] : outcome.failure.name)),
        ['a', 'timeout', 'b', 'threw', 'threw', 'c']
      )
      assert.match(some.said, /said a\n/)
    } finally {
      await some.close()
    }
  })

  it('a text that is no Python is refused with its place', async () => {
    await assert.rejects(open('import os\n\ndef main(x)\n  return 1'), {
      name: 'ProgramError',
      message: "task:3:12: SyntaxError: expected ':'"
    })
    const nameless = await open('def other(x):\n  return 1')
    assert.match(
      JSON.stringify((await nameless.run([slice([1])])).map(read)),
      /NameError: the source defines no function main/
    )
    await nameless.close()
  })

  it('takes wheels and values', async () => {
    const [wheel] = (await resultOf([numberOf('WHEEL', 'wheel'), 0])) as [Uint8Array]
    const text = 'import greeting\n\nasync def main(x):\n  return greeting.hello(name) * x'
    const session = await open(text, { context: { name: 'Artel' }, packages: [wheel] })
    assert.deepEqual((await session.run([slice([1, 2])])).map(read), [
      ['hello Artel', 'hello Artelhello Artel']
    ])
    await session.close()
  })
})
