import { setTimeout as delay } from 'node:timers/promises'
import type { Startable } from '@libp2p/interface'
import { TypedEventEmitter, type TypedEventTarget } from 'main-event'
import { Registry as Registers, type Registry } from 'prom-client'
import { OnTrialError } from '../../bootstrap/way-out.ts'
import type { CallInit } from './call-operation.ts'
import type { Capabilities, ServiceApis } from './capabilities.ts'
import type { Health, Hearers, ServiceModule } from './contract.ts'
import { checkDeclaration, checkFields, checkNames } from './declare.ts'
import { DeclarationError, PeerError, ServiceDownError, UnknownOperationError } from './errors.ts'
import type { Group, Handlers } from './operation.ts'
import { createOwnGroups } from './own-groups.ts'
import { createRunningService, type HostComponents, type RunningService } from './running-service.ts'
import type { ServiceSettings } from './settings.ts'
import { HOST_VERDICTS } from './verdict.ts'

const START_WAIT_MS = 2_000
/** what a node on trial answers */
const HEALTH = 'settings.health'

export interface ServicesInit {
  modules: readonly ServiceModule[]
  /** what the node itself answers; see `provide` */
  groups?: readonly Group[]
  /** services/ in the data folder; each has a folder of its own in it */
  folder: string
  /** id of the network */
  network: string
  /** the section of a service, when this is called */
  settings(name: string): ServiceSettings
  /** nothing is answered but how the node is, see `OnTrialError` */
  isOnTrial?: boolean
  now?: () => number
}

export interface ServicesComponents extends Omit<HostComponents, 'lend' | 'tell'> {
  capabilities: Partial<Capabilities>
}

export interface ServicesEvents {
  /** the health of a service */
  health: CustomEvent<Health>
  /** what a service tells the dashboard; type: <name>:<topic> */
  tell: CustomEvent<{ type: string; value: unknown; to?: Hearers | undefined }>
}

/** All services of a node. A service that fails takes neither another one nor the node down. */
export interface Services extends Startable, TypedEventTarget<ServicesEvents> {
  readonly modules: readonly ServiceModule[]
  /** all that can be called: of the node itself, then of its services */
  readonly groups: readonly Group[]
  /** Answers a group of the node itself, as long as the node runs. */
  provide<G extends Group>(group: G, handlers: Handlers<G['operations']>): void
  /** Starts the services that are on; returns once each runs or has failed, or after 2 s and what is of the node itself. */
  start(): Promise<void>
  /** how long `stop` would wait for what services run outside of the node */
  endMs(): number
  stop(): Promise<void>
  /** The settings have changed: switches on and off, and tells those that run. */
  configure(): Promise<void>
  health(): Health[]
  /** what a service gives others, while it runs */
  api<K extends keyof ServiceApis>(service: K): ServiceApis[K] | undefined
  /**
   * Calls an operation as `caller`.
   *
   * @throws {UnknownOperationError}
   * @throws {ServiceOffError}
   * @throws {ServiceDownError}
   * @throws {ForbiddenError}
   * @throws {RequestError}
   * @throws {OnTrialError}
   */
  call(service: string, operation: string, input: unknown, init: CallInit): Promise<unknown>
  /** of the services that run */
  metrics(): Registry
}

/**
 * @throws {DeclarationError} two of one name, or a need that nobody can meet
 */
export function createServices(init: ServicesInit): (components: ServicesComponents) => Services {
  const modules = inOrder(init.modules)
  const groups = [...(init.groups ?? []), ...modules]
  for (const group of groups) checkNames(group)
  for (const group of init.groups ?? []) checkFields(group)
  for (const module of modules) checkDeclaration(module)
  const twice = groups.find(({ name }, i) => groups.findIndex(group => group.name === name) < i)
  if (twice != null) throw new DeclarationError(`two groups of operations are called ${twice.name}`)
  return components => {
    const events = new TypedEventEmitter<ServicesEvents>()
    const byName = new Map<string, RunningService>()
    const log = components.logger.forComponent('artel:node')
    const own = createOwnGroups(init.groups ?? [], { isKnown: isKnownTo(components), log })
    const shared: HostComponents = {
      ...components,
      lend: need => components.capabilities[need as keyof Capabilities] ?? byName.get(need)?.api,
      isKnown: isKnownTo(components),
      tell: (type, value, to) => events.safeDispatchEvent('tell', { detail: { type, value, to } })
    }
    for (const module of modules) {
      const service: RunningService = createRunningService(
        {
          module,
          folder: init.folder,
          network: init.network,
          now: init.now ?? Date.now,
          onChange: () => onHealth(service.health())
        },
        shared
      )
      byName.set(module.name, service)
    }

    function onHealth(health: Health): void {
      events.safeDispatchEvent('health', { detail: health })
      if (health.state !== 'off' && health.state !== 'failed') return
      const gone = new ServiceDownError(`it needs ${health.service}, which is ${health.state}`)
      for (const { name, needs } of modules) if (needs?.includes(health.service)) byName.get(name)?.fail(gone)
    }

    /** Side by side; each after those that it needs. */
    function configureEach(): Map<string, Promise<unknown>> {
      const ready = new Map<string, Promise<unknown>>()
      for (const { name, needs = [] } of modules)
        ready.set(
          name,
          Promise.all(needs.map(need => ready.get(need))).then(() =>
            byName.get(name)!.configure(init.settings(name))
          )
        )
      return ready
    }
    const configure = async (): Promise<void> => void (await Promise.all(configureEach().values()))

    return Object.assign(events, {
      modules,
      groups,
      provide: own.provide,
      async start() {
        const ready = configureEach()
        // one that hangs does not hold the node up, unless it is of the node itself
        const enough = Promise.race([
          Promise.all(ready.values()),
          delay(START_WAIT_MS, undefined, { ref: false })
        ])
        const residents = modules.filter(({ isResident }) => isResident).map(({ name }) => ready.get(name))
        await Promise.all([enough, ...residents])
      },
      endMs: () => Math.max(0, ...[...byName.values()].map(service => service.endMs())),
      async stop() {
        await Promise.all([...byName.values()].map(service => service.end()))
        own.stop()
        for (const service of [...byName.values()].reverse()) await service.stop()
      },
      configure,
      api: <K extends keyof ServiceApis>(name: K) => byName.get(name)?.api as never,
      health: () => [...byName.values()].map(service => service.health()),
      async call(service: string, operation: string, input: unknown, call: CallInit) {
        if (init.isOnTrial && `${service}.${operation}` !== HEALTH) throw new OnTrialError()
        if (own.has(service)) return own.call(service, operation, input, call)
        const running = byName.get(service)
        if (running == null) throw new UnknownOperationError(`there is no service "${service}"`)
        return running.call(operation, input, call)
      },
      metrics: () =>
        Registers.merge([
          new Registers(),
          ...[...byName.values()].map(({ registry }) => registry).filter(registry => registry != null)
        ])
    })
  }
}

const isKnownTo =
  (components: Pick<ServicesComponents, 'isKnown'>) =>
  (error: Error): boolean =>
    error instanceof PeerError || Object.hasOwn(HOST_VERDICTS, error.name) || components.isKnown(error)

/** Those that others need before these. */
function inOrder(modules: readonly ServiceModule[]): ServiceModule[] {
  const byName = new Map(modules.map(module => [module.name, module]))
  const done = new Set<ServiceModule>()
  function visit(module: ServiceModule, path: readonly string[]): void {
    if (path.includes(module.name))
      throw new DeclarationError(
        `services need each other in a circle: ${[...path, module.name].join(' → ')}`
      )
    for (const need of module.needs ?? []) {
      const other = byName.get(need)
      if (other != null) visit(other, [...path, module.name])
    }
    done.add(module)
  }
  for (const module of modules) visit(module, [])
  return [...done]
}
