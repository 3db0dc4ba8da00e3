export { isGlobal } from './addresses.ts'
export type * from './contract.ts'
export type { OutboundInit } from './create-outbound.ts'
export * from './errors.ts'
export { hostOf } from './target.ts'

/** Whether Chromium starts behind its walls. @throws {BrowserError} what is missing */
export async function tryBrowser(chromium: string): Promise<void> {
  const { withBrowser } = await import('./browser/with-browser.ts')
  const nothing = { allowed: () => [], resolve: async () => [], maxBytes: 1_000_000 }
  await withBrowser({ chromium, ...nothing, signal: AbortSignal.timeout(30_000) }, tab => tab.url())
}

/** undici and what reads robots.txt come where somebody goes out. */
export const loadOutbound = () => import('./create-outbound.ts')
