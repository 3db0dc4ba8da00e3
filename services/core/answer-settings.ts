import { allows, type Caller, ForbiddenError, type Handlers, type Services } from '../host/index.ts'
import type { Setting, settings } from './settings.ts'

export interface SettingsComponents {
  services: Pick<Services, 'health'>
  config(): Setting[]
  /** Checks and keeps all of the patch or nothing. Throws ConfigError. */
  configure(patch: Record<string, unknown>): Promise<void>
  /** why it could not do a job now; empty when it could */
  unready(): string[]
  metrics(): Promise<string>
}

export function answerSettings({
  services,
  config,
  configure,
  unready,
  metrics
}: SettingsComponents): Handlers<(typeof settings)['operations']> {
  return {
    config: () => ({ items: config() }),
    async configure({ patch }, { caller }) {
      const kept = OWNERS.find(name => name in patch)
      if (kept != null && caller.is !== 'owner')
        throw new ForbiddenError(`${kept} is changed on the machine of the node: artel config set ${kept}`)
      await configure(patch)
      return { items: config() }
    },
    health: (_, { caller }) => ({
      status: 'ok',
      services: services
        .health()
        // one that is off has no health
        .filter(({ state }) => state !== 'off')
        .map(({ reason, error, ...each }) => ({
          ...each,
          ...(mayRead(caller) && { ...(reason != null && { reason }), ...(error != null && { error }) })
        }))
    }),
    ready() {
      const reasons = unready()
      return { ready: reasons.length === 0, reasons }
    },
    metrics
  }
}

/** Whoever says whose programs run here does anything here: a token that was lost must not. */
const OWNERS = ['releaseSigners']

const mayRead = (caller: Caller): boolean =>
  caller.is === 'owner' || (caller.is === 'grant' && allows(caller.grant, 'read'))
