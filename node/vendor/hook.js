// Plain JavaScript: it runs before anything that has its types stripped.
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

/*
 * Our own files get the libraries that they import from the bundle that build.mjs makes after `npm ci`: one file in place of
 * 1,300, which cost a start 0.6 s of CPU time and 40 MB. Without a bundle they come from node_modules. What lies there, since
 * the bundle leaves it out, shares what it imports from the top of node_modules, of which the bundle was made, and has other
 * versions and what it requires from there.
 */

const OWN = new URL('../../', import.meta.url).href
const BUNDLE = new URL('dist/', import.meta.url).href

const TOP = `${OWN}node_modules/`

const isOwn = url => url?.startsWith(OWN) && !url.startsWith(BUNDLE) && !url.startsWith(TOP)
const isAtTop = url => url?.startsWith(TOP) && !url.includes('/node_modules/', TOP.length)
// what begins with # a package has within itself
const isBare = specifier => !/^([.#]|\/|[\w-]+:)/.test(specifier)

module.registerHooks({
  resolve(specifier, context, next) {
    const { parentURL, conditions } = context
    const own = isOwn(parentURL)
    if (isBare(specifier) && (own || (isAtTop(parentURL) && !conditions.includes('require')))) {
      const url = `${BUNDLE}${specifier}.js`
      if (existsSync(fileURLToPath(url)) && (own || isAtTop(next(specifier, context).url)))
        return { url, format: 'module', shortCircuit: true }
    }
    return next(specifier, context)
  }
})
