/** A function for `map` that tries to keep something from one item to the next, over items that are numbers. */
export interface Keeper {
  fn: string
  context?: Record<string, unknown>
  /** what a fresh start gives, for every item; absent: the same for an item whatever came before */
  answer?: unknown
  /** nothing is changed and nothing given: the error, for every item */
  refused?: RegExp
}

const FIXED = /TypeError: (Cannot (add|assign|define|delete)|\w+ of what everybody inherits)/
const counts = (place: string): string => `x => { ${place}.n = (${place}.n ?? 0) + 1; return ${place}.n }`
const countsAsync = (place: string): string => `async ${counts(place)}`

/** In the scope that a text sees as its global object: gone for the next item. */
const globals: Record<string, string> = {
  'a global': counts('globalThis'),
  'a global beside a promise':
    'async x => { globalThis.n = (globalThis.n ?? 0) + 1; await null; return globalThis.n }',
  'a global of an expression': 'globalThis.n = (globalThis.n ?? 0) + 1',
  'a global that is defined':
    'x => { if (!("n" in globalThis)) Object.defineProperty(globalThis, "n", { value: { count: 0 } }); return ++globalThis.n.count }',
  'a global by another name': `x => { const all = globalThis; ${'all["n" + ""] = (all.n ?? 0) + 1; return all.n'} }`,
  'a global set by Reflect':
    'x => { Reflect.set(globalThis, "n", (globalThis.n ?? 0) + 1); return globalThis.n }',
  'a global that is assigned': 'x => Object.assign(globalThis, { n: (globalThis.n ?? 0) + 1 }).n',
  'a global under a symbol of the registry':
    'x => { const s = Symbol.for("n"); globalThis[s] = (globalThis[s] ?? 0) + 1; return globalThis[s] }',
  'a global with a getter':
    'x => { if (!("n" in globalThis)) { let n = 0; Object.defineProperty(globalThis, "n", { get: () => ++n }) } return globalThis.n }',
  'the elements of what came before':
    'x => { globalThis.all ??= []; globalThis.all.push(x); return globalThis.all.length }',
  'a map': 'x => { globalThis.m ??= new Map(); return globalThis.m.set(x, x).size }',
  'a weak map on what stays':
    'x => { globalThis.w ??= new WeakMap(); globalThis.w.set(Math, (globalThis.w.get(Math) ?? 0) + 1); return globalThis.w.get(Math) }',
  'a weak map on the strings of a template':
    'x => { globalThis.w ??= new WeakMap(); const at = (s => s)`a`; globalThis.w.set(at, (globalThis.w.get(at) ?? 0) + 1); return globalThis.w.get(at) }',
  'a closure': 'x => { globalThis.f ??= (() => { let n = 0; return () => ++n })(); return globalThis.f() }',
  'a class with a static field': 'x => { globalThis.C ??= class { static n = 0 }; return ++globalThis.C.n }',
  'a private field':
    'x => { globalThis.c ??= new (class { #n = 0; next() { return ++this.#n } })(); return globalThis.c.next() }',
  'a typed array': 'x => { globalThis.a ??= new Int32Array(1); return ++globalThis.a[0] }',
  'a regular expression':
    'x => { globalThis.r ??= /a/g; const found = globalThis.r.test("a"); return found ? globalThis.r.lastIndex : 0 }',
  'a sticky one': 'x => { globalThis.r ??= /a/y; globalThis.r.test("aaa"); return globalThis.r.lastIndex }',
  'a generator':
    'x => { globalThis.g ??= (function* () { for (let i = 1; ; i++) yield i })(); return globalThis.g.next().value }',
  'an asynchronous generator':
    'async x => { globalThis.g ??= (async function* () { for (let i = 1; ; i++) yield i })(); return (await globalThis.g.next()).value }',
  'an iterator helper':
    'x => { globalThis.i ??= [1, 2, 3].values().map(v => v); return globalThis.i.next().value }',
  'a promise that grows':
    'async x => { globalThis.p = (globalThis.p ?? Promise.resolve(0)).then(n => n + 1); return globalThis.p }',
  'a stack of what is to be disposed':
    'x => { globalThis.s ??= new DisposableStack(); let n = 0; globalThis.s.defer(() => n++); globalThis.s.dispose(); globalThis.s = undefined; return n }',
  'what a promise does after the result':
    'async x => { const n = (globalThis.n ?? 0) + 1; (async () => { for (let i = 0; i < 9; i++) await null; globalThis.n = n })(); await null; return n }',
  'what a thenable does':
    'x => ({ then(give) { globalThis.n = (globalThis.n ?? 0) + 1; give(globalThis.n) } })'
}

/** In what is made anew for each call anyway. */
const ownOnes: Record<string, string> = {
  'a default': '(x, i, c = { n: 0 }) => ++c.n',
  'a variable around a function': 'x => (() => { let n = 0; return () => ++n })()()',
  'a literal with a place': 'x => { const r = /a/g; r.test("aa"); return r.lastIndex }',
  'what the last match left': 'x => { /b(.)/.exec("abc"); return RegExp.$1 === undefined ? 1 : 2 }',
  'a private field on what stays':
    'x => { class B { constructor(o) { return o } } class A extends B { #n = 0; static next(o) { if (!(#n in o)) new A(o); return ++o.#n } } return A.next(Math) }'
}

/** In what everybody has: it cannot be changed. */
const fixed: Record<string, string> = {
  'a property of the function': 'function f(x) { f.n = (f.n ?? 0) + 1; return f.n }',
  'of an asynchronous one': 'async function f(x) { f.n = (f.n ?? 0) + 1; return f.n }',
  'its prototype': 'function f(x) { f.prototype.n = (f.prototype.n ?? 0) + 1; return f.prototype.n }',
  Math: counts('Math'),
  'Math beside a promise': countsAsync('Math'),
  JSON: counts('JSON'),
  console: counts('console'),
  Reflect: counts('Reflect'),
  'the prototype of arrays': counts('Array.prototype'),
  'that beside a promise': countsAsync('Array.prototype'),
  'the prototype of everything': counts('Object.prototype'),
  'a setter there':
    'x => { let n = 0; Object.prototype.__defineSetter__("n", v => { n = v }); return ({ n: 1 }).n }',
  'a method': counts('[].map'),
  'a method that all inherit': 'x => { Object.prototype.toString = () => "x"; return 1 }',
  'the prototype of promises': countsAsync('Promise.prototype'),
  'the prototype of iterators': counts('Object.getPrototypeOf([].values())'),
  'that of generators': counts('Object.getPrototypeOf(function* () {}).prototype'),
  'that of asynchronous generators': counts('Object.getPrototypeOf(async function* () {}).prototype'),
  'that of regular expressions': counts('RegExp.prototype'),
  'that of dates': counts('Date.prototype'),
  'the limit of stack traces': 'x => { Error.stackTraceLimit++; return Error.stackTraceLimit }',
  'how stack traces are written': 'x => { Error.prepareStackTrace = () => 1; return 1 }',
  'the getter of a stack': counts('Object.getOwnPropertyDescriptor(new Error(), "stack").get'),
  'what throws for `callee`':
    'function f(x) { const t = Object.getOwnPropertyDescriptor(arguments, "callee").get; t.n = (t.n ?? 0) + 1; return t.n }',
  'the strings of a template': counts('(s => s)`a`')
}

/** In values that all items see. Floats and bytes cannot be frozen: they are as they came for each item. */
const inContext: Record<string, Keeper> = {
  'an object of the context': {
    fn: counts('given'),
    context: { given: {} },
    refused: FIXED
  },
  'a list of the context': { fn: 'x => given.push(x)', context: { given: [] }, refused: FIXED },
  'a typed array of the context': { fn: 'x => ++given[0]', answer: 1 },
  'that, sorted': {
    fn: 'x => { const first = given[0]; given.set([1]); given.sort().reverse(); return first + 1 }',
    answer: 1
  },
  'its bytes': { fn: 'x => ++new Uint8Array(given.buffer)[3]', answer: 1 },
  'a view of it': {
    fn: 'x => { const v = new DataView(given.buffer); v.setInt8(1, v.getInt8(1) + 1); return v.getInt8(1) }',
    answer: 1
  },
  'a part of it': { fn: 'x => ++given.subarray(1, 3)[0]', answer: 1 },
  'that by a name that is made': {
    fn: 'x => { const f = given["fi" + "ll"]; f.call(given, given[0] + 1); return given[2] }',
    answer: 1
  },
  'a method of it by a name that is made': {
    fn: 'x => { const was = given[1]; given["fi" + "ll"](was + 1); return was + 1 }',
    answer: 1
  },
  'the one of another name': { fn: 'x => { const other = given; return ++other[0] }', answer: 1 },
  'by `context`': { fn: 'x => ++context.given[0]', answer: 1 },
  'one deep within': {
    fn: 'x => ++given.list[0].data[1]',
    context: { given: { list: [{ data: new Float64Array(2) }] } },
    answer: 1
  },
  'the array itself, given away': {
    fn: 'x => { given[0]++; return given }',
    answer: new Int32Array([1, 0, 0, 0])
  },
  'its bytes, taken away': {
    fn: 'x => { given.buffer.transfer(); return given.length }',
    refused: /bytes of the context stay/
  },
  'a property of it': { fn: counts('given'), refused: FIXED },
  'one that is only read': { fn: 'x => given[0] + given[1] + given.length - 3', answer: 1 },
  'bytes of one that is only read, by a name that is made': {
    fn: 'x => { const bytes = given["buf" + "fer"]; return ++new Int32Array(bytes)[0] }',
    answer: 1
  }
}

/** In what is read after the item. */
const later: Record<string, Keeper> = {
  'a getter': {
    fn: 'x => { globalThis.n = (globalThis.n ?? 0) + 1; return { get n() { return globalThis.n++ } } }',
    answer: { n: 1 }
  },
  'a proxy': {
    fn: 'x => { globalThis.n = (globalThis.n ?? 0) + 1; return new Proxy({ n: 0 }, { get: (_, name) => name === "n" ? globalThis.n++ : undefined }) }',
    answer: { n: 1 }
  },
  'a getter that asks for chance': { fn: 'x => ({ get n() { return Math.random() } })' },
  'a promise that asks for chance after the result': {
    fn: 'async x => { (async () => { for (let i = 0; i < 9; i++) { await null; Math.random() } })(); await null; return Math.random() }'
  }
}

const each = (fns: Record<string, string>, more: Omit<Keeper, 'fn'>): [string, Keeper][] =>
  Object.entries(fns).map(([name, fn]) => [name, { fn, ...more }])

export const KEEPERS: [name: string, keeper: Keeper][] = [
  ...each(globals, { answer: 1 }),
  ...each(ownOnes, { answer: 1 }),
  ...each(fixed, { refused: FIXED }),
  ...Object.entries(inContext).map(([name, keeper]): [string, Keeper] => [
    name,
    { context: { given: new Int32Array(4) }, ...keeper }
  ]),
  ...Object.entries(later)
]
