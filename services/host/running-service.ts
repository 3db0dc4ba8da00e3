import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ComponentLogger, Logger } from '@libp2p/interface'
import { setMaxListeners } from 'main-event'
import type { Registry } from 'prom-client'
import type { Directory } from '../directory/index.ts'
import { type CallInit, callOperation } from './call-operation.ts'
import type { Health, Hearers, Host, Service, ServiceModule, State } from './contract.ts'
import { openDatabase } from './database.ts'
import { createDeadline } from './deadline.ts'
import { checkFields } from './declare.ts'
import { isFault, ServiceDownError, ServiceOffError, UnknownOperationError } from './errors.ts'
import { serviceKey, serviceProtocol } from './names.ts'
import { answerPeers, askPeer, type ServiceNetwork } from './peer-streams.ts'
import { PrefixedRegistry } from './prefixed-registry.ts'
import { asMessage, type MessageHandlers, type Protocol } from './protocol.ts'
import { createSecrets } from './secrets.ts'
import type { ServiceSettings } from './settings.ts'
import { createWaits } from './waits.ts'

const START_MS = 60_000
/** who calls waits so long for a start */
const CALLED_MS = 30_000
/** A node stops within 2 s of Ctrl-C. */
const STOP_MS = 2_000

/** What the host works with, and lends to its services. */
export interface HostComponents {
  network: ServiceNetwork
  directory: Pick<Directory, 'announce' | 'withdraw' | 'find'>
  sign(domain: string, bytes: Uint8Array): Uint8Array
  isSigned(peer: string, domain: string, bytes: Uint8Array, signature: Uint8Array): boolean
  /** the capability of a name, or the api of another service; undefined where there is none now */
  lend(need: string): unknown
  /** errors that callers may see by name, beside those of the service */
  isKnown(error: Error): boolean
  tell(type: string, value: unknown, to?: Hearers): void
  logger: ComponentLogger
}

export interface RunningInit {
  module: ServiceModule
  /** of all services */
  folder: string
  /** id of the network */
  network: string
  now: () => number
  /** its state, its reason, or both have changed */
  onChange(): void
}

interface Run {
  service: Service
  registry: Registry
  stop: AbortController
  ended: AsyncDisposableStack
  /** what its settings were when it started */
  config: ServiceSettings
}

/** One service: loads, starts and stops it, says how it is, starts it again after a failure. Never throws but to a caller. */
export function createRunningService(init: RunningInit, components: HostComponents) {
  const { module, network, now, onChange } = init
  const { name, version, operations } = module
  const log: Logger = components.logger.forComponent(`artel:${name}`)
  const protocol = serviceProtocol(network, name, version)
  const key = serviceKey(name, version)
  const waits = createWaits(now)
  let settings: ServiceSettings = { enabled: false, allowedPeers: [], deniedPeers: [] }
  let state: State = 'off'
  let reason: string | undefined
  let failure: string | undefined
  let retryAt: number | undefined
  let retry: NodeJS.Timeout | undefined
  let run: Run | undefined
  /** of the start that is going on */
  let attempt: AbortController | undefined
  let work: Promise<void> = Promise.resolve()
  /** what does not work though the service runs: what → why */
  const faults = new Map<string, string>()

  function become(next: State, why?: string): void {
    state = next
    reason = why
    if (next !== 'failed') {
      retryAt = undefined
      failure = undefined
    }
    onChange()
  }

  function degraded(what: string, why: string | undefined): void {
    if (faults.get(what) === why) return
    if (why == null) faults.delete(what)
    else faults.set(what, why)
    if (state === 'running' || state === 'degraded')
      become(faults.size === 0 ? 'running' : 'degraded', describeFaults())
  }
  const describeFaults = (): string | undefined =>
    faults.size === 0 ? undefined : [...faults].map(([what, why]) => `${what}: ${why}`).join('; ')

  const isKnown = (error: Error): boolean =>
    Object.hasOwn(module.errors ?? {}, error.name) || components.isKnown(error)

  function fault(what: string, error: Error): void {
    log.error('%s: %e', what, error)
    degraded(what, error.message)
  }

  /** One after the other, so that no start overtakes a stop. */
  function next(step: () => Promise<void>): Promise<void> {
    work = work.then(step)
    return work
  }

  /** Its schemas are made when it starts. */
  function messagesOf(): Protocol {
    checkFields(module)
    return {
      ...module.messages,
      ...Object.fromEntries(
        Object.entries(operations)
          .filter(([, { peers }]) => peers != null && peers !== 'nobody')
          .map(([key, operation]) => [key, asMessage(operation)])
      )
    }
  }

  async function start(): Promise<void> {
    if (run != null || !settings.enabled) return
    clearTimeout(retry)
    faults.clear()
    become('starting')
    await using ended = new AsyncDisposableStack()
    const stop = new AbortController()
    attempt = stop
    setMaxListeners(Number.POSITIVE_INFINITY, stop.signal)
    ended.defer(() => stop.abort(new ServiceDownError(`${name} stops`)))
    try {
      using deadline = createDeadline(`the start of ${name}`, START_MS, [stop.signal])
      const registry = new PrefixedRegistry(`artel_${name.replaceAll('-', '_')}_`)
      const messages = messagesOf()
      const host = await createHost(registry, messages, stop, ended)
      const service = await deadline.within(
        (async () => {
          const made = await (await module.load())(host as never)
          // it took too long, and nobody waits for it any more
          if (stop.signal.aborted) await stopService(made)
          else ended.defer(() => stopService(made))
          stop.signal.throwIfAborted()
          await made.start?.()
          return made
        })()
      )
      if (Object.keys(messages).length > 0) {
        await answerPeers({
          network: components.network,
          protocol,
          messages,
          handlers: handlersOf(service),
          lists: () => settings,
          signal: stop.signal,
          log,
          isKnown,
          onFault: (message, error) => fault(`message ${message}`, error),
          onSuccess: message => degraded(`message ${message}`, undefined)
        })
        ended.defer(() => components.network.unhandle(protocol))
      }
      run = { service, registry, stop, ended: ended.move(), config: host.config }
      become(faults.size === 0 ? 'running' : 'degraded', describeFaults())
    } catch (error) {
      // else somebody has stopped it
      if (!stop.signal.aborted) failed(error as Error)
    } finally {
      attempt = undefined
    }
  }

  function failed(error: Error): void {
    const waitMs = waits.next()
    retryAt = now() + waitMs
    log.error('%s has failed and is tried again in %d s: %e', name, waitMs / 1000, error)
    failure = error.name
    become('failed', error.message)
    clearTimeout(retry)
    retry = setTimeout(() => void next(start), waitMs)
    // a node that is about to end does not wait for it
    retry.unref()
  }

  async function stopService(service: Service): Promise<void> {
    try {
      using deadline = createDeadline(`the stop of ${name}`, STOP_MS, [])
      await deadline.within(service.stop?.())
    } catch (error) {
      log.error('%s did not stop well: %e', name, error as Error)
    }
  }

  async function stop(): Promise<void> {
    clearTimeout(retry)
    const running = run
    run = undefined
    // the signal first, so that whoever waits lets go
    running?.stop.abort(new ServiceDownError(`${name} stops`))
    try {
      await running?.ended.disposeAsync()
    } catch (error) {
      log.error('%s did not end well: %e', name, error as Error)
    }
    faults.clear()
  }

  function handlersOf({ operations: handlers, messages: own }: Service) {
    const asMessages = Object.entries(handlers).map(([key, handler]) => [
      key,
      (request: never, { peer, signal, send }: { peer: string; signal: AbortSignal; send: never }) =>
        (handler as (input: never, call: unknown) => unknown)(request, {
          caller: { is: 'peer', peer },
          signal,
          send,
          body: (async function* () {})()
        })
    ])
    return { ...Object.fromEntries(asMessages), ...(own as MessageHandlers<Protocol> | undefined) }
  }

  async function createHost(
    metrics: Registry,
    messages: Protocol,
    stopping: AbortController,
    ended: AsyncDisposableStack
  ): Promise<Host<ServiceSettings>> {
    const folder = join(init.folder, name)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const { signal } = stopping
    const atStart = settings
    const use: Record<string, unknown> = {}
    for (const need of module.needs ?? []) {
      use[need] = components.lend(need)
      if (use[need] == null) throw new ServiceDownError(`it needs ${need}, which does not run`)
    }
    let database: ReturnType<typeof openDatabase> | undefined
    const ask = { network: components.network, protocol, messages, signal }
    const live = liveKeys(module)
    return {
      name,
      get config() {
        return { ...atStart, ...Object.fromEntries(live.map(k => [k, settings[k as never]])) }
      },
      signal,
      now,
      folder,
      log,
      metrics,
      use: use as never,
      get wanted() {
        return Object.fromEntries((module.wants ?? []).map(want => [want, components.lend(want)])) as never
      },
      database(migrations) {
        if (database == null) {
          const opened = openDatabase(join(folder, `${name}.sqlite`), migrations)
          ended.defer(() => opened.close())
          database = opened
        }
        return database
      },
      secrets: below => createSecrets(join(folder, below)),
      announce(isOpen) {
        signal.throwIfAborted()
        if (isOpen) {
          components.directory.announce(key)
          ended.defer(() => components.directory.withdraw(key))
        } else
          components.directory
            .withdraw(key)
            .catch((error: Error) => log.error('others may still find %s here: %e', name, error))
      },
      peers: {
        self: components.network.peerId.toString(),
        // what is no peer id has none
        addressOf: peer =>
          components.network
            .getConnections()
            .find(({ remotePeer }) => remotePeer.toString() === peer)
            ?.remoteAddr.toString(),
        async *find(options = {}) {
          const signals = [signal, ...(options.signal == null ? [] : [options.signal])]
          const found = components.directory.find(key, { ...options, signal: AbortSignal.any(signals) })
          for await (const { id } of found) yield id.toString()
        },
        async ask(peer, message, request, options) {
          const { items, answer } = askPeer(ask, peer, message, request, options)
          // the answer comes after them
          for await (const _ of items);
          return (await answer) as never
        },
        open: (peer, message, request, options) => askPeer(ask, peer, message, request, options) as never
      },
      tell: (topic, value, to) => components.tell(`${name}:${topic}`, value, to),
      sign: (domain, bytes) => components.sign(`artel/${name}/${domain}`, bytes),
      isSigned: (peer, domain, bytes, signature) =>
        components.isSigned(peer, `artel/${name}/${domain}`, bytes, signature),
      repeat(what, everyMs, task) {
        const waits = createWaits(now)
        let timer: NodeJS.Timeout
        const turn = async (): Promise<void> => {
          let waitMs = everyMs
          try {
            await task(signal)
            waits.reset()
            degraded(what, undefined)
          } catch (error) {
            if (signal.aborted) return
            waitMs = Math.max(everyMs, waits.next())
            fault(what, error as Error)
          }
          if (!signal.aborted) timer = setTimeout(() => void turn(), waitMs)
        }
        signal.addEventListener('abort', () => clearTimeout(timer))
        timer = setTimeout(() => void turn(), 0)
      },
      degraded,
      fail(error) {
        if (!signal.aborted) fail(error)
      }
    }
  }

  function fail(error: Error): void {
    const failing = run
    void next(async () => {
      if (run == null || run !== failing) return
      await stop()
      failed(error)
    })
  }

  return {
    /** Its section of the configuration, at the start and after each change. */
    configure(changed: ServiceSettings): Promise<void> {
      settings = changed
      if (!settings.enabled) attempt?.abort(new ServiceDownError(`${name} is switched off`))
      return next(async () => {
        if (!settings.enabled) {
          await stop()
          if (state !== 'off') become('off')
        } else if (run == null) await start()
        else
          try {
            await run.service.configured?.()
          } catch (error) {
            fault('settings', error as Error)
          }
      })
    },
    stop(): Promise<void> {
      attempt?.abort(new ServiceDownError(`${name} stops`))
      return next(async () => {
        await stop()
        become('off')
      })
    },
    /** See `Service.endMs`. */
    endMs: () => run?.service.endMs?.() ?? 0,
    /** See `Service.end`. Never throws. */
    async end(): Promise<void> {
      const ms = run?.service.endMs?.() ?? 0
      if (ms === 0) return
      try {
        using deadline = createDeadline(`the end of ${name}`, ms, [])
        await deadline.within(run!.service.end?.())
      } catch (error) {
        log.error('%s did not end well: %e', name, error as Error)
      }
    },
    health(): Health {
      const { summary } = module
      return {
        service: name,
        version,
        summary,
        state,
        ...(reason == null ? {} : { reason }),
        ...(failure == null ? {} : { error: failure }),
        ...(retryAt == null ? {} : { retryAt })
      }
    },
    /** It cannot go on; it is started again later. */
    fail,
    /** of the run that is going on */
    get registry() {
      return run?.registry
    },
    get api() {
      return run?.service.api
    },
    /** See `callOperation`. Throws ServiceDownError too. */
    async call(operation: string, input: unknown, call: CallInit): Promise<unknown> {
      const declared = Object.hasOwn(operations, operation) ? operations[operation] : undefined
      if (declared == null) throw new UnknownOperationError(`${name} has no operation "${operation}"`)
      if (attempt != null) await started(call.signal)
      if (run == null)
        throw state === 'off'
          ? new ServiceOffError(name, `${name}.enabled`)
          : new ServiceDownError(whyDown(), state === 'starting' ? 1 : undefined)
      const what = `${name}.${operation}`
      const { service, stop } = run
      try {
        const handler = service.operations[operation] as never
        const lists = { lists: settings, stopping: stop.signal }
        const output = await callOperation(what, declared, handler, input, { ...call, ...lists })
        degraded(what, undefined)
        return output
      } catch (error) {
        if (call.signal?.aborted !== true && isFault(error as Error, isKnown)) fault(what, error as Error)
        throw error
      }
    }
  }

  /** Who calls while it starts waits for it, as on a busy machine that takes seconds; but not for ever. */
  async function started(signal: AbortSignal | undefined): Promise<void> {
    using deadline = createDeadline(`the start of ${name}`, CALLED_MS, [signal])
    await deadline.within(work).catch(() => signal?.throwIfAborted())
  }

  function whyDown(): string {
    return `${name} is ${state}${reason == null ? '' : `: ${reason}`}`
  }
}

export type RunningService = ReturnType<typeof createRunningService>

/** Settings that count at once; the others after the next start of the service. */
function liveKeys({ config }: ServiceModule): string[] {
  const own = Object.entries(config?.shape ?? {})
  return [
    'enabled',
    'allowedPeers',
    'deniedPeers',
    ...own
      .filter(([, schema]) => (schema as { meta(): { live?: boolean } | undefined }).meta()?.live === true)
      .map(([key]) => key)
  ]
}
