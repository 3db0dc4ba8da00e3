import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '@libp2p/interface'
import { account, SCOPES, token } from '../access/index.ts'
import { type Entries, isService, type People, serviceScopes } from '../host/index.ts'
import {
  createAccounts,
  createEndings,
  createPasswords,
  createVisitors,
  FAILURE_MS,
  peopleElsewhere
} from './accounts/index.ts'
import type { FaceInit, Gateway, GatewayComponents, GatewayInit } from './contract.ts'
import { createEntries } from './entries.ts'
import { ListenError } from './errors.ts'
import { createBacklog } from './events/backlog.ts'
import { createEventHub } from './events/events.ts'
import type { App } from './http/app.ts'
import { openDoors, portOf } from './http/doors.ts'
import { createGrants } from './http/grants.ts'
import { createServer } from './http/server.ts'
import { openTokens, replace } from './http/tokens.ts'
import { answerAccounts, answerTokens } from './operations/answer-access.ts'

/** What is being answered may end; then connections are cut: a node stops within 2 s of Ctrl-C. */
const GRACE_MS = 1_000

/** Makes the HTTP API and dashboard of a node. */
export function createGateway(init: GatewayInit): (components: GatewayComponents) => Gateway {
  return components => new HttpGateway(init, components)
}

class HttpGateway implements Gateway {
  readonly #init: GatewayInit
  readonly #components: GatewayComponents
  readonly #log: Logger
  #running: AsyncDisposableStack | undefined
  url: string | undefined
  faceUrl: string | undefined
  token: string | undefined
  people: People | undefined
  entries: Entries | undefined

  constructor(init: GatewayInit, components: GatewayComponents) {
    this.#init = init
    this.#components = components
    this.#log = components.logger.forComponent('artel:gateway')
  }

  async start(): Promise<void> {
    if (this.#running != null) return
    const { dataFolder } = this.#init
    const { services } = this.#components
    const now = Date.now
    await using started = new AsyncDisposableStack()
    const endings = createEndings()
    const tokens = await openTokens(dataFolder, endings, now)
    const entries = createEntries()
    const accounts = createAccounts({
      file: join(dataFolder, 'accounts.sqlite'),
      scopes: [...SCOPES, ...serviceScopes(services.modules.filter(isService))],
      issuer: `Artel ${this.#components.node.networkName}`
    })({
      passwords: createPasswords(),
      endings,
      lockers: this.#components.lockers,
      failed: entries.failed,
      now
    })
    started.defer(() => accounts.close())
    services.provide(account, answerAccounts(accounts))
    services.provide(token, answerTokens(tokens))
    const visitors = createVisitors({
      homes: this.#components.homes,
      accounts,
      endings,
      failureMs: FAILURE_MS,
      now,
      log: this.#log
    })
    const grants = createGrants(tokens, accounts, visitors, endings)
    started.defer(() => grants.close())
    const events = createEventHub(this.#components, now)
    started.defer(() => events.close())
    const stopping = new AbortController()
    const { version } = this.#components.node
    const context = {
      ...this.#components,
      tokens,
      accounts,
      visitors,
      grants,
      events,
      entries,
      stopping: stopping.signal,
      now
    }
    const app = await createServer({ ...this.#init, version }, context)
    started.defer(() => close(app, stopping))
    this.url = await this.#listen(app)
    const { face } = this.#init
    if (face != null) {
      const backlog = createBacklog(face.service, { services, log: this.#log })
      started.defer(() => backlog.close())
      const narrow = await createServer(
        { ...this.#init, host: face.host, version },
        { ...context, face: { ...face, backlog } }
      )
      started.defer(() => close(narrow, stopping))
      const doors = await enter(narrow, face)
      started.defer(() => doors.close())
      this.faceUrl = `${face.tls == null ? 'http' : 'https'}://${nameOf(face.host)}:${doors.port}`
    }
    const file = join(dataFolder, 'gateway.json')
    await replace(file, JSON.stringify({ url: this.url }))
    started.defer(() => rm(file, { force: true }))
    this.token = tokens.admin
    this.people = peopleElsewhere(accounts, endings)
    this.entries = entries.of(accounts)
    this.#running = started.move()
  }

  async #listen(app: App): Promise<string> {
    const { host, port, portIsDefault } = this.#init
    const listen = async (at: number): Promise<string> => {
      await app.listen({ host, port: at })
      return `http://${nameOf(host)}:${portOf(app)}`
    }
    try {
      return await listen(port)
    } catch (err) {
      const { code } = err as NodeJS.ErrnoException
      if (code !== 'EADDRINUSE' || portIsDefault !== true)
        throw new ListenError(
          `gateway.port: cannot listen on ${host} port ${port} (${code}); choose another with --gateway-port, or 0 for any`
        )
      this.#log('port %d is in use, taking a free one', port)
      return await listen(0)
    }
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    this.url = undefined
    this.faceUrl = undefined
    this.people = undefined
    this.entries = undefined
    await running?.disposeAsync()
  }
}

/** @throws {ListenError} */
async function enter(app: App, { service, host, port, tls }: FaceInit) {
  try {
    return await openDoors(app, { host, port, ...(tls == null ? {} : { tls }) })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new ListenError(
      `${service}.port: cannot listen on ${host} port ${port} (${code ?? message}); choose another with --${service}-port, or 0 for any`
    )
  }
}

const nameOf = (host: string): string =>
  host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host

async function close(app: App, stopping: AbortController): Promise<void> {
  stopping.abort()
  const timer = setTimeout(() => {
    for (const client of app.websocketServer.clients) client.terminate()
    app.server.closeAllConnections()
  }, GRACE_MS)
  await app.close()
  clearTimeout(timer)
}
