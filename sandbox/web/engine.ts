/**
 * Whether the engine asks `Error.prepareStackTrace` before it tells where an error is: V8 does, those of Firefox and
 * Safari do not. Where it does not, programs read the addresses of their scripts, which are others in every Worker, and
 * an honest browser would sign what nobody else can compute.
 *
 * Self-contained: tests run it by its source text.
 */
export function hidesStacks(): boolean {
  const before = Error.prepareStackTrace
  let isAsked = false
  Error.prepareStackTrace = () => {
    isAsked = true
  }
  void new Error().stack
  Error.prepareStackTrace = before
  return isAsked
}
