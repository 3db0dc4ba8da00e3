import {
  bytes,
  fieldsOf,
  type Group,
  isService,
  type Operation,
  placeOf,
  wireSchema
} from '../../host/index.ts'
import { PROBLEM_TYPE, VALUE_TYPE } from '../schema.ts'

const BINARY = 'application/octet-stream'
interface ObjectSchema {
  type?: string
  properties: Record<string, unknown>
  required?: string[]
}

/** What the OpenAPI document says of an operation, as a schema of a Fastify route in plain JSON Schema. */
export function describeOperation(group: Group, name: string, operation: Operation): Record<string, unknown> {
  const { http, scope, summary, description = '', output, progress } = operation
  const { body, deadlineMs } = placeOf(group.name, name, operation)
  const inPath = [...http.path.matchAll(/:(\w+)/g)].map(([, field]) => field!)
  const inHeaders = Object.keys(http.headers ?? {})
  const left = fieldsOf(operation.input)
    .map(field => field.name)
    .filter(field => !inPath.includes(field) && !inHeaders.includes(field) && field !== http.bodyField)
  const isInBody = (field: string): boolean =>
    body === 'json' && http.bodyField == null && http.query?.includes(field) !== true
  const inBody = left.filter(isInBody)
  const inQuery = left.filter(field => !isInBody(field))
  const { properties, required = [] } = wireSchema(operation.input) as unknown as ObjectSchema
  const part = (names: readonly string[], rename = (name: string): string => name): ObjectSchema => ({
    type: 'object',
    properties: Object.fromEntries(names.map(field => [rename(field), properties[field]])),
    required: names.filter(field => required.includes(field)).map(rename)
  })
  const told = [
    description,
    scope == null ? '' : `Scope: \`${scope}\`.`,
    `Ends within ${deadlineMs / 1000} s${progress == null ? '' : ' of silence'}.`,
    progress == null
      ? ''
      : `With \`Accept: text/event-stream\`: events \`progress\`, then \`result\` or \`error\`; with \`${VALUE_TYPE}\` beside it their data are canonical values in base64.`
  ]
  const answer =
    output === bytes
      ? { content: { [BINARY]: { schema: {} } } }
      : {
          content: {
            [http.textType?.split(';')[0] ?? 'application/json']: { schema: wireSchema(output) },
            [VALUE_TYPE]: { schema: {} },
            ...(progress == null ? {} : { 'text/event-stream': { schema: { type: 'string' } } })
          }
        }
  return {
    // what can be off stands apart, and may have operations of one name
    operationId: isService(group) || group.setting != null ? `${group.name}_${name}` : name,
    summary,
    description: told.filter(Boolean).join(' '),
    tags: [group.name],
    ...(inPath.length === 0 ? {} : { params: part(inPath) }),
    ...(inHeaders.length === 0 ? {} : { headers: part(inHeaders, field => http.headers![field]!) }),
    ...(http.bodyField != null
      ? { body: properties[http.bodyField] }
      : inBody.length > 0
        ? { body: part(inBody) }
        : {}),
    ...(inQuery.length > 0 ? { querystring: part(inQuery) } : {}),
    ...(body === 'bytes' ? { consumes: [BINARY], body: {} } : {}),
    response: {
      [http.status ?? 200]:
        http.status === 204 ? { type: 'null', description: 'done' } : { description: summary, ...answer },
      ...Object.fromEntries(
        (http.statuses ?? []).map(status => [status, { description: summary, ...answer }])
      ),
      ...(output === bytes && inHeaders.length > 0 ? { 206: { description: 'a part', ...answer } } : {}),
      default:
        http.errorBody == null
          ? {
              description: 'what went wrong (RFC 9457)',
              content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } }
            }
          : { description: 'what went wrong', content: { 'application/json': { schema: {} } } }
    }
  }
}
