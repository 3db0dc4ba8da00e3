import type { FailureName, Program } from '../../sandbox/index.ts'
import { wasmModule } from './wasm-module.ts'

/** One attack. `ends`: how it may end; a harmless answer is the string 'nothing'. */
export interface Hostile {
  name: string
  program: Program
  ends: ('nothing' | FailureName)[]
}

const fn = (source: string): Program => ({ kind: 'function', source })

/** Code that does harm with whatever it is given: called with every object that an escape can lay hands on. */
const USE = `
const use = (...found) => {
  for (const one of found) {
    try {
      let g = one
      try { g = one.constructor.constructor('return this')() ?? one } catch {}
      for (const scope of [one, g, g?.globalThis]) {
        const host = scope?.process ?? (typeof scope?.mainModule === 'object' ? scope : undefined)
        const load = scope?.require ?? host?.mainModule?.require ?? host?.getBuiltinModule
        // of a browser; nothing here has names like these
        for (const name of ['fetch', 'WebSocket', 'importScripts', 'indexedDB', 'navigator', 'postMessage'])
          if (scope?.[name] !== undefined) {
            try { scope.fetch('http://127.0.0.1:' + context.port) } catch {}
            return name + ' of a browser'
          }
        if (host?.env?.[context.variable]) return host.env[context.variable]
        if (typeof load !== 'function') continue
        const fs = load('fs')
        try { return fs.readFileSync(context.file, 'utf8') } catch {}
        try { fs.writeFileSync(context.folder + '/tripped', '') } catch {}
        try { load('net').connect(context.port, '127.0.0.1') } catch {}
        try { load('child_process').spawn('sleep', ['60'], { detached: true }) } catch {}
        return 'a host module'
      }
    } catch {}
  }
  return 'nothing'
}`
const escaping = (body: string): Program => fn(`async () => {${USE}\n${body}\n}`)

const time: Record<string, Program> = {
  'while loop': fn('() => { for (;;); }'),
  'loop in a microtask': fn('async () => { await 0; for (;;); }'),
  'endless microtasks': fn('() => new Promise(() => { const f = () => Promise.resolve().then(f); f() })'),
  'loop in a getter of the result': fn('() => ({ get a() { for (;;); } })'),
  'loop in a proxy of the result': fn('() => new Proxy({}, { ownKeys() { for (;;); } })'),
  'loop in then': fn('() => ({ then() { for (;;); } })'),
  'loop in the message of an error': fn(
    '() => { throw Object.defineProperty(new Error(), "message", { get() { for (;;); } }) }'
  ),
  'loop in toString of what is thrown': fn('() => { throw { toString() { for (;;); } } }'),
  'loop in prepareStackTrace': fn('() => { Error.prepareStackTrace = () => { for (;;); }; null.x }'),
  'loop while the module loads': { kind: 'module', source: 'for (;;);\nexport default () => 1' },
  'regular expression': fn('() => /^(a+)+$/.test("a".repeat(50) + "b")'),
  'regular expression with backreferences': fn('() => /(x+x+)+y/.test("x".repeat(60))'),
  'squaring a bigint': fn('() => { let n = 3n; for (;;) n *= n; }'),
  'bigint to text': fn('() => (3n ** 40000000n).toString().length'),
  'sort of a huge array': fn('() => { const a = new Float64Array(1.4e7); for (;;) a.sort((x, y) => y - x) }'),
  'spread of 2**27': fn('() => { for (;;) try { Math.max(...new Uint8Array(2 ** 27)) } catch {} }'),
  'deep recursion for ever': fn('() => { const f = () => { try { f() } finally { f() } }; f() }'),
  'replace with a huge pattern': fn('() => { for (;;) "a".repeat(2 ** 24).replace(/a/g, "bb") }'),
  'JSON of a loop': fn('() => { for (;;) JSON.stringify({ toJSON() { return this } }) }'),
  'WebAssembly loop': { kind: 'wasm', source: wasmModule({ body: '03 40 0c 00 0b' }) } // (loop (br 0))
}

const memory: Record<string, Program> = {
  objects: fn('() => { const a = []; for (;;) a.push({ a: {}, b: [1, 2, 3] }) }'),
  'typed arrays': fn('() => { const a = []; for (;;) a.push(new Float64Array(1e6).fill(1)) }'),
  'one huge buffer': fn('() => new Uint8Array(2 ** 31).fill(1).length'),
  'buffers that grow': fn(
    '() => { const b = new ArrayBuffer(8, { maxByteLength: 2 ** 31 }); b.resize(2 ** 31); new Uint8Array(b).fill(1); return 1 }'
  ),
  strings: fn(
    '() => { let s = "ab"; const a = []; for (;;) { s += s.slice(0, 1e6) + a.length; a.push([...s].join("")) } }'
  ),
  'a string in a Set': fn('() => { const s = new Set(); for (let i = 0; ; i++) s.add("x".repeat(1e5) + i) }'),
  'a Map of maps': fn('() => { const m = new Map(); for (let i = 0; ; i++) m.set(i, new Map([[i, i]])) }'),
  'array of 2**32': fn('() => { const a = []; for (;;) a.push(new Array(2 ** 25).fill(0)) }'),
  closures: fn('() => { let f = () => 0; for (;;) { const g = f; const h = [f]; f = () => [g, h] } }'),
  promises: fn('() => { const a = []; for (;;) a.push(new Promise(() => {})) }'),
  symbols: fn('() => { for (let i = 0; ; i++) Symbol.for("s".repeat(1000) + i) }'),
  'regular expressions': fn(
    '() => { const a = []; for (let i = 0; ; i++) { const r = new RegExp("a".repeat(5000) + i); r.test("b"); a.push(r) } }'
  ),
  generators: fn(
    '() => { const a = []; for (;;) { const g = (function* () { yield new Array(1000) })(); g.next(); a.push(g) } }'
  ),
  'WebAssembly memory': {
    kind: 'wasm',
    // (loop (drop (memory.grow (i32.const 16))) (memory.fill (i32.const 0) (i32.const 1) (i32.shl (memory.size) (i32.const 16))) (br 0))
    source: wasmModule({ body: '03 40 41 10 40 00 1a 41 00 41 01 3f 00 41 10 74 fc 0b 00 0c 00 0b' })
  }
}

const escapes: Record<string, Program> = {
  'constructor of this': escaping('return use(this, globalThis, (function () { return this })())'),
  'Function constructor': escaping(
    'let f; try { f = (() => {}).constructor("return process")() } catch {} return use(f)'
  ),
  'async Function constructor': escaping(
    'let f; try { f = await (async () => {}).constructor("return process")() } catch {} return use(f)'
  ),
  'generator Function constructor': escaping(
    'let f; try { f = (function* () {}).constructor("yield process")().next().value } catch {} return use(f)'
  ),
  'indirect eval': escaping('let f; try { f = (0, eval)("this") } catch {} return use(f)'),
  'dynamic import': escaping(
    'let f; try { f = await import("node:fs") } catch (e) { return use(e, e.constructor) } return f ? "a module" : "nothing"'
  ),
  'import of a data url': escaping(
    'try { await import("data:text/javascript,export default 1"); return "a module" } catch (e) { return use(e) }'
  ),
  'import in a constructed function': escaping(
    'try { return use(await (async () => {}).constructor("return import(\'fs\')")()) } catch (e) { return use(e) }'
  ),
  'require and process by name': escaping(
    'return use(typeof require === "undefined" ? 0 : require, typeof process === "undefined" ? 0 : process, typeof module === "undefined" ? 0 : module)'
  ),
  'error from the stack limit': escaping(
    'let e; const f = () => { try { f() } catch (x) { e ??= x } }; f(); return use(e, e.constructor, e.constructor.constructor)'
  ),
  'call sites': escaping(
    'let sites = []; Error.prepareStackTrace = (e, s) => (sites = s, ""); new Error().stack; return use(...sites.flatMap(s => { try { return [s, s.getThis(), s.getFunction()] } catch { return [] } }))'
  ),
  'call sites of our own code': escaping(
    'const found = []; Error.prepareStackTrace = (e, s) => { for (const one of s) found.push(one.getThis(), one.getFunction()); return "" }; const o = { get a() { new Error().stack; return 1 } }; globalThis.o = o; try { JSON.stringify(o) } catch {} return use(...found)'
  ),
  'caller and arguments': escaping(
    'const found = []; function f() { try { found.push(f.caller) } catch {} try { found.push(f.caller.caller) } catch {} } f(); return use(...found)'
  ),
  'patched Array.prototype': escaping(
    'const found = []; Array.prototype.push = function (...a) { found.push; found[found.length] = this; return 0 }; for (const k of ["map", "forEach", "concat", "join", "slice"]) Array.prototype[k] = function () { found[found.length] = this; return this }; await 0; return use(...found)'
  ),
  'patched Object': escaping(
    'const found = []; for (const k of ["keys", "defineProperty", "freeze", "getPrototypeOf"]) Object[k] = (...a) => { found.push(...a); return a[0] }; await 0; return use(...found)'
  ),
  'patched Promise.then': escaping(
    'const found = []; const then = Promise.prototype.then; Promise.prototype.then = function (...a) { found.push(this, ...a); return then.apply(this, a) }; await 0; await { then(r) { found.push(r); r() } }; return use(...found)'
  ),
  'patched Promise species': escaping(
    'const found = []; Object.defineProperty(Promise, Symbol.species, { get() { return class extends Promise { constructor(f) { super((a, b) => { found.push(a, b, f); f(a, b) }) } } } }); await Promise.resolve().then(() => 1); return use(...found)'
  ),
  'thenable gets our resolve': escaping(
    'let found; await { then(ok, bad) { found = [ok, bad]; ok() } }; return use(...found)'
  ),
  'patched typed arrays': escaping(
    'const found = []; const p = Object.getPrototypeOf(Uint8Array.prototype); for (const k of ["set", "subarray", "slice", "fill"]) p[k] = function (...a) { found.push(this, ...a) }; Object.defineProperty(p, "buffer", { get() { found.push(this); return new ArrayBuffer(8) } }); await 0; return use(...found)'
  ),
  'patched DataView': escaping(
    'const found = []; for (const k of Object.getOwnPropertyNames(DataView.prototype)) try { DataView.prototype[k] = function (...a) { found.push(this); return 0 } } catch {} await 0; return use(...found)'
  ),
  'patched Function.prototype.call': escaping(
    'const found = []; Function.prototype.call = function (...a) { found.push(this, ...a) }; Function.prototype.apply = function (...a) { found.push(this, ...a) }; Function.prototype.bind = function (...a) { found.push(this) }; await 0; return use(...found)'
  ),
  'setters on Object.prototype': escaping(
    'const found = []; for (const k of ["get", "set", "value", "writable", "0", "1", "length", "then", "status", "bytes"]) Object.defineProperty(Object.prototype, k, { configurable: true, set(v) { found.push(this, v) }, get() { found.push(this) } }); return "nothing"'
  ),
  'setters on Array.prototype': escaping(
    'const found = []; for (const k of ["0", "1", "2"]) Object.defineProperty(Array.prototype, k, { configurable: true, set(v) { found[found.length] = v } }); await 0; const r = "nothing"; for (const k of ["0", "1", "2"]) delete Array.prototype[k]; return use(...found)'
  ),
  'Symbol.species of arrays': escaping(
    'const found = []; const a = [1]; a.constructor = { get [Symbol.species]() { return function (...x) { found.push(new.target, x); return [] } } }; a.map(x => x); return use(...found)'
  ),
  'Symbol.hasInstance': escaping(
    'const found = []; Object.defineProperty(Error, Symbol.hasInstance, { value(x) { found.push(x, this); return true } }); globalThis.found = found; return use(...found)'
  ),
  'proxy of everything': escaping(
    'const found = []; const h = new Proxy({}, { get: (_, k) => (...a) => { found.push(...a); return Reflect[k](...a) } }); const p = new Proxy(function () {}, h); try { p.a; p(); new p(); Object.keys(p) } catch {} return use(...found)'
  ),
  'context and its prototypes': escaping(
    'const found = []; for (let o = context; o; o = Object.getPrototypeOf(o)) found.push(o, o.constructor, o.constructor?.constructor); return use(...found)'
  ),
  'globals one by one': escaping(
    'const found = []; const seen = new Set(); const walk = (o, d) => { if (d > 4 || o === null || !/object|function/.test(typeof o) || seen.has(o)) return; seen.add(o); found.push(o); for (const k of Reflect.ownKeys(o)) { let v; try { v = o[k] } catch { continue } walk(v, d + 1) } walk(Object.getPrototypeOf(o), d + 1) }; walk(globalThis, 0); return found.some(o => { const n = Object.prototype.toString.call(o); return [n.slice(8, -1), o.constructor?.name].some(name => /^(Reference|ExternalCopy|Isolate|Context|Callback|process)$/.test(name)) }) ? "a handle" : use(...found.slice(0, 500))'
  ),
  'shared memory': escaping(
    'return typeof SharedArrayBuffer + typeof Atomics + typeof WebAssembly === "undefinedundefinedundefined" ? "nothing" : "shared memory"'
  ),
  'result with an accessor to the outside': fn('() => Object.create({ constructor: { constructor: 1 } })'),
  'unhandled rejections': escaping(
    'for (let i = 0; i < 100; i++) Promise.reject(new Error("loose")); return "nothing"'
  ),
  'prototype of null errors': escaping(
    'let e; try { null.f() } catch (x) { e = x } Object.setPrototypeOf(e, new Proxy({}, { get(t, k) { return () => {} } })); throw e'
  )
}

const results: Record<string, Program> = {
  cyclic: fn('() => { const a = {}; a.a = a; return a }'),
  deep: fn('() => { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a }'),
  wide: fn('() => new Array(5e6).fill(0)'),
  'wide and shared': fn(
    '() => { let a = "x".repeat(100); for (let i = 0; i < 40; i++) a = [a, a]; return a }'
  ),
  'one gigabyte': fn('() => "x".repeat(2 ** 29 - 30)'),
  sparse: fn('() => { const a = []; a.length = 2 ** 32 - 1; return a }'),
  'throwing getter': fn('() => ({ get a() { throw new Error("no") } })'),
  'getter that throws nothing useful': fn('() => ({ get a() { throw null } })'),
  'revoked proxy': fn('() => { const { proxy, revoke } = Proxy.revocable([], {}); revoke(); return proxy }'),
  'proxy with endless keys': fn(
    '() => new Proxy({}, { ownKeys: () => Array.from({ length: 1e6 }, (_, i) => "k" + i), getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true, value: 1 }) })'
  ),
  'proxy array with a false length': fn(
    '() => new Proxy([], { get: (t, k) => (k === "length" ? 2 ** 53 : 0) })'
  ),
  'detached buffer': fn(
    '() => { const a = new Float64Array(8); a.buffer.transfer(); return { a, b: () => 1 } }'
  ),
  'function inside': fn('() => ({ a: [() => 1] })'),
  symbol: fn('() => Symbol("s")'),
  'getter that encodes again': fn('() => ({ get a() { return globalThis } })'),
  'never settles': fn('() => new Promise(() => {})'),
  'thenable that throws': fn('() => ({ then() { throw new Error("no") } })'),
  'thenable chain': fn('() => { const t = () => ({ then(r) { r(t()) } }); return t() }'),
  'error without end': fn(
    '() => { const e = new Error("x".repeat(2 ** 28)); e.stack = "y".repeat(2 ** 28); throw e }'
  ),
  'throws a proxy': fn('() => { throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } }) }')
}

const list = (programs: Record<string, Program>, ends: Hostile['ends']): Hostile[] =>
  Object.entries(programs).map(([name, program]) => ({ name, program, ends }))

/** By class, as in the table "What must hold" of the design. */
export const hostilePrograms: Record<string, Hostile[]> = {
  time: list(time, ['timeout', 'out-of-memory', 'threw']),
  memory: list(memory, ['out-of-memory', 'timeout', 'threw']),
  escapes: list(escapes, ['nothing', 'threw', 'invalid-result']),
  results: list(results, ['invalid-result', 'threw', 'out-of-memory', 'timeout'])
}
