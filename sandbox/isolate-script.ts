import { isolateMain } from './isolate-main.ts'
import { libm } from './libm.ts'
import { OPERATION } from './operation.ts'
import { makeRealm } from './realm.ts'
import { valueCodec } from './value.ts'
import { makeWasm } from './wasi.ts'

const PARTS = [valueCodec, makeRealm, libm, makeWasm].join(',')

/** The first script of every context; `more`: source texts of what else isolateMain is given. */
export const isolateScript = (seed: string, ...more: string[]): string =>
  `"use strict";(${isolateMain})(${[PARTS, JSON.stringify(seed), JSON.stringify(OPERATION), ...more].join(',')})`
