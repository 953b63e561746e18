import { ROUTE_LIST, type JsonSchema, type RouteDescription } from '../packages/service/src/http/route-table.ts'
import { SCHEMAS } from './http-api-schemas.ts'

/** Where operators and clients find the API; a service is wherever its settings say. */
const SERVER = { url: 'http://127.0.0.1:8080', description: 'A service with its default settings.' }

const ERROR = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }

/** The OpenAPI document of the service, from the table of its routes. */
export function openApiDocument(): JsonSchema {
  const byPath = Map.groupBy(ROUTE_LIST, ([, { path }]) => path)
  return {
    openapi: '3.1.0',
    info: { title: 'Headwater', version: '1', description: 'The HTTP interface of the Headwater service.' },
    servers: [SERVER],
    paths: Object.fromEntries(
      [...byPath].map(([path, routes]) => [
        path,
        Object.fromEntries(routes.map(([name, route]) => [route.method.toLowerCase(), describeOperation(name, route)])),
      ]),
    ),
    components: {
      securitySchemes: {
        client: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'The token of a user.' },
        operator: { type: 'http', scheme: 'bearer', description: 'One of the tokens in `api.tokens`.' },
      },
      schemas: SCHEMAS,
    },
  }
}

function describeOperation(name: string, route: RouteDescription): JsonSchema {
  const { summary, token, query, body, answer } = route
  const parameters = Object.entries(query ?? {}).map(([parameter, description]) => ({
    name: parameter,
    in: 'query',
    required: false,
    description,
    schema: { type: 'string' },
  }))
  const failures = Object.entries(failuresOf(route)).map(([status, description]) => [
    status,
    { description, content: status === '400' && token === 'none' ? contentOf(answer) : ERROR },
  ])
  return {
    operationId: name,
    summary,
    security: token === 'none' ? [] : [{ [token]: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: false, content: contentOf(bodiesOf(route, body)) } }),
    responses: { '200': { description: 'Done.', content: contentOf(answer) }, ...Object.fromEntries(failures) },
  }
}

/** By status: what may go wrong with every call of its kind, and what this one adds. */
export function failuresOf({ token, body, query, failures }: RouteDescription): { readonly [status: string]: string } {
  const takesFields = body !== undefined || query !== undefined
  return {
    ...(takesFields ? { 400: 'The request is malformed (`PSYNC_S2001`).' } : {}),
    ...(token === 'client' ? { 401: 'There is no token, or it is not good (`PSYNC_S21…`).' } : {}),
    ...(token === 'operator' ? { 401: 'There is no token of an operator (`PSYNC_S2101`).' } : {}),
    ...(body === undefined ? {} : { 413: 'The body is too long.', 415: 'The body is of another type.' }),
    ...(token === 'operator' ? { 429: 'Too many calls of operators wait; come back after `Retry-After`.' } : {}),
    ...failures,
  }
}

function bodiesOf({ takesYaml }: RouteDescription, body: JsonSchema): { readonly [contentType: string]: JsonSchema } {
  return { 'application/json': body, ...(takesYaml === true ? { 'application/yaml': { type: 'string' } } : {}) }
}

function contentOf(schemas: { readonly [contentType: string]: JsonSchema }): JsonSchema {
  return Object.fromEntries(Object.entries(schemas).map(([type, schema]) => [type, { schema }]))
}

/** The text of `docs/reference/http-api.md`. */
export function formatHttpApiDoc(): string {
  const groups = [
    ['Clients', 'client', 'A token of a user: `Authorization: Bearer <token>`, or `Token <token>`.'],
    [
      'Operators',
      'operator',
      'One of `api.tokens`, in the same header. With `api.port` these are on a listener of their own.',
    ],
    ['Probes and metrics', 'none', 'No token; on every listener.'],
  ] as const
  const sections = groups.map(([title, token, words]) => {
    const routes = ROUTE_LIST.filter(([, route]) => route.token === token)
    return `## ${title}\n\n${words}\n\n${routes.map(([, route]) => formatRoute(route)).join('\n')}`
  })
  return `# HTTP interface

Results are JSON objects \`{"data": …}\`, errors \`{"error": {"code", "status", "description", "name", "details"?}}\`; the codes are in
[errors](errors.md). Parameters come from the query and from a JSON body, which may be compressed with gzip; unknown ones
are passed over. Statuses 429 and 503 carry \`Retry-After\` where trying again may help. Scripts of any origin may call. The
sync stream is also served over WebSockets, at the same path.

The same as an OpenAPI document, for tools: [http-api.json](http-api.json). Both are written from the table in
\`packages/service/src/http/route-table.ts\` by \`npx node --conditions=@headwater/source scripts/write-http-api-doc.ts\`.

${sections.join('\n')}`
}

function formatRoute(route: RouteDescription): string {
  const { method, path, summary, query, body, takesYaml, answer } = route
  const fields = body?.['properties']
  const names = typeof fields === 'object' && fields !== null ? Object.keys(fields) : []
  const lines = [
    ...Object.entries(query ?? {}).map(([name, words]) => `- \`?${name}=\`: ${words}`),
    ...(names.length === 0
      ? []
      : [
          `- Body: ${names.map((name) => `\`${name}\``).join(', ')}${takesYaml === true ? ', or the config itself as `application/yaml`' : ''}.`,
        ]),
    `- Answer: ${Object.keys(answer)
      .map((type) => `\`${type}\``)
      .join(' or ')}.`,
    ...Object.entries(failuresOf(route)).map(([status, words]) => `- ${status}: ${words}`),
  ]
  return `### ${method} ${path}\n\n${summary}\n\n${lines.join('\n')}\n`
}
