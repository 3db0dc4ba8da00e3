import { availableParallelism, totalmem } from 'node:os'
import type { Sandbox } from '../sandbox/index.ts'
import { CREDIT_MICRO, type LivePolicy, type PolicySettings, type Scheduler } from '../scheduler/index.ts'
import type { Compute } from '../services/index.ts'
import type { LiveConfig } from './config-file.ts'
import type { Config } from './settings.ts'

/** What the owner's settings allow others to do here. */
export function policySettings(config: Config): PolicySettings {
  const { compute, memoryMb, quietHours, onlyIdle, taskTypes, tags } = config
  return {
    slots: compute ? lentSlots(config) : 0,
    memoryMb,
    maxSliceMs: config.maxSliceSeconds * 1000,
    maxRamMb: lentRamMb(config),
    multiplier: config.priceMultiplier,
    minPriceMicro: Math.round(config.minPrice * Number(CREDIT_MICRO)),
    types: taskTypes.length === 0 ? undefined : [...taskTypes],
    tags: [...tags],
    quietHours: [...quietHours],
    onlyIdle,
    allowed: [...config.allowedRequesters],
    denied: [...config.deniedRequesters],
    trusted: [...config.trustedPeers]
  }
}

const lentSlots = ({ slots }: Config): number => slots ?? Math.max(1, availableParallelism() - 1)

const lentRamMb = ({ maxRamMb, memoryMb }: Config): number =>
  maxRamMb ?? Math.max(memoryMb, Math.floor(totalmem() / 2 / 2 ** 20))

/** What this machine gives to others, and the switch for it. */
export function createLending(components: {
  config: LiveConfig
  policy: LivePolicy
  scheduler: Pick<Scheduler, 'workDone'>
  sandbox: Pick<Sandbox, 'walled'>
}) {
  const { config, policy, scheduler, sandbox } = components

  function closed(): string | undefined {
    const { compute, trustedPeers } = config.current
    if (!compute) return 'nothing is lent; switch it on to help others and earn credits'
    if (policy.slots === 0) return 'the memory lent is less than one process needs; raise maxRamMb'
    if (!sandbox.walled && trustedPeers.length === 0)
      return 'walls of the sandbox are missing, so no stranger is served; see: artel doctor'
    return policy.closed()
  }

  function contribution(): Compute.Contribution {
    const { compute, minPrice, onlyIdle, quietHours } = config.current
    const { running: _, earned, ...today } = scheduler.workDone()
    const reason = closed()
    return {
      enabled: compute,
      open: reason == null,
      ...(reason == null ? {} : { reason }),
      limits: {
        slots: lentSlots(config.current),
        maxRamMb: lentRamMb(config.current),
        minPrice,
        onlyIdle,
        quietHours: [...quietHours]
      },
      today: { ...today, earned }
    }
  }

  return {
    contribution,
    async contribute({ enabled, limits = {} }: Compute.ContributionPatch): Promise<Compute.Contribution> {
      await config.configure({ ...(enabled == null ? {} : { compute: enabled }), ...limits })
      return contribution()
    }
  }
}
