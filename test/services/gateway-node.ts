import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { MAX_WAIT_MS } from '../../services/compute/schema.ts'

export const VALUE = 'application/vnd.artel.value'
export const PROBLEM = 'application/problem+json'

/** Nothing that is asked may hang. */
const DEADLINE_MS = 120_000

export interface CallInit {
  params?: Record<string, string>
  query?: Record<string, string | number>
  /** an object is sent as JSON */
  body?: unknown
  headers?: Record<string, string>
  /** null: none */
  token?: string | null
}

export interface Answer {
  status: number
  headers: Headers
  /** parsed, where it is JSON */
  body: any
  bytes: Uint8Array
}

type Document = { paths: Record<string, Record<string, any>> }

/** A node of its own network with its gateway, in this process; what it answers is held against its own document. */
export class TestGateway implements AsyncDisposable {
  readonly folder: string
  node!: ArtelNode
  document!: Document
  /** operations that answered well, as in `GET /health` */
  readonly exercised = new Set<string>()
  #ajv!: Ajv2020

  private constructor(folder: string) {
    this.folder = folder
  }

  static async start(): Promise<TestGateway> {
    const gateway = new TestGateway(await mkdtemp(join(tmpdir(), 'artel-gateway-')))
    await gateway.open()
    return gateway
  }

  async open(): Promise<void> {
    const flags = {
      data: join(this.folder, 'node'),
      logLevel: 'silent',
      trustedPeers: ['*'],
      slots: 2,
      'gateway.enabled': true,
      'gateway.port': 0
    }
    this.node = await createNode(loadConfig({ environment: {}, flags }), {
      role: 'seed',
      // nobody is there to start it anew
      restart: () => {}
    })
    this.document = (await (await fetch(`${this.url}/openapi.json`)).json()) as Document
    this.#ajv = new Ajv2020({ strict: false, validateFormats: false })
    this.#ajv.addSchema(this.document, 'document')
  }

  get url(): string {
    return this.node.gateway!.url!
  }

  get token(): string {
    return this.node.gateway!.token!
  }

  get operations(): string[] {
    return Object.entries(this.document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`)
    )
  }

  /** Operations with one of these tags that never answered well. */
  unexercised(...tags: string[]): string[] {
    return this.operations.filter(operation => {
      const [method, path] = operation.split(' ') as [string, string]
      const isMeant = tags.includes(this.document.paths[path]![method.toLowerCase()].tags[0])
      return isMeant && !this.exercised.has(operation)
    })
  }

  get tags(): string[] {
    return [
      ...new Set(
        Object.values(this.document.paths).flatMap(methods =>
          Object.values(methods).map(described => described.tags[0])
        )
      )
    ]
  }

  /** Calls an operation of the document and checks that the answer is one that the document names. */
  async call(
    operation: string,
    { params = {}, query, body, headers, token }: CallInit = {}
  ): Promise<Answer> {
    const [method, template] = operation.split(' ') as [string, string]
    const path = template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(params[name]!))
    const search = query == null ? '' : `?${new URLSearchParams(query as Record<string, string>)}`
    const isRaw = body instanceof Uint8Array || typeof body === 'string' || body instanceof ReadableStream
    const response = await fetch(`${this.url}${path}${search}`, {
      method,
      signal: AbortSignal.timeout(DEADLINE_MS),
      body: body === undefined ? undefined : isRaw ? (body as BodyInit) : JSON.stringify(body),
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token ?? this.token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers
      },
      ...(body instanceof ReadableStream ? { duplex: 'half' } : {})
    } as RequestInit)
    const bytes = new Uint8Array(await response.arrayBuffer())
    const answer = this.#checked(operation, response, bytes)
    if (response.ok) this.exercised.add(operation)
    return answer
  }

  #checked(operation: string, { status, headers }: Response, bytes: Uint8Array): Answer {
    const [method, path] = operation.split(' ') as [string, string]
    const described = this.document.paths[path]?.[method.toLowerCase()]
    assert.ok(described != null, `${operation} is in the document`)
    const type = headers.get('content-type')?.split(';')[0] ?? ''
    const code = described.responses[status] == null ? 'default' : String(status)
    const content = described.responses[code]?.content
    const isJson = type.endsWith('json')
    const body = isJson ? JSON.parse(Buffer.from(bytes).toString()) : undefined
    if (status >= 400 && status !== 503)
      assert.equal(type, PROBLEM, `${operation} answers ${status} as a problem`)
    if (isJson) {
      const media = content?.[type] == null ? 'application/json' : type
      const pointer = ['paths', path, method.toLowerCase(), 'responses', code, 'content', media, 'schema']
      const ref = `document#/${pointer.map(part => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`
      const isValid = this.#ajv.compile({ $ref: ref })
      assert.ok(
        isValid(body),
        `${operation} answers ${status} as its document says: ${JSON.stringify(isValid.errors)} in ${JSON.stringify(body).slice(0, 500)}`
      )
    }
    return { status, headers, body, bytes }
  }

  /** Submits and waits; fails when the job does. */
  async run(spec: unknown): Promise<any> {
    // under its key it is the same job, for which a busy machine may take longer than one request waits
    const headers = { 'idempotency-key': randomUUID() }
    for (;;) {
      const { status, body } = await this.call('POST /api/v1/tasks', {
        query: { wait: MAX_WAIT_MS },
        body: spec,
        headers
      })
      if (status === 202) continue
      assert.equal(status, 200, JSON.stringify(body))
      assert.equal(body.job.state, 'completed', JSON.stringify(body.job.failure))
      return body
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.stop()
    await rm(this.folder, { recursive: true, force: true })
  }
}
