import { type Answer, answerText, type HttpRequest } from './answer.ts'
import { answerPreflight } from './cors.ts'
import { answerNotFound } from './error-response.ts'
import type { HttpParts } from './http-parts.ts'
import { createOperatorRoutes } from './operator-routes.ts'
import { answerProbe, type Probe } from './probes.ts'
import { ROUTE_LIST, type RouteDescription, type RouteName } from './route-table.ts'
import { createSyncStreamRoute } from './sync-stream.ts'
import type { SyncStreams } from './sync-streams.ts'
import { createWriteCheckpointRoutes } from './write-checkpoint.ts'

type Handler = (request: HttpRequest) => Promise<Answer>

export type Routes = {
  readonly answer: Handler
  /** The path if there is a route for it, else `other`: what metrics may be labelled with. */
  readonly labelOf: (path: string) => string
}

/** Who may come by a listener. What needs no token is on each. */
export type Audience = 'everybody' | 'clients' | 'operators'

/** Every path the service answers to `audience`, and what it answers to all others. */
export function createRoutes(parts: HttpParts, streams: SyncStreams, audience: Audience): Routes {
  const probe = (name: Probe): Handler => {
    return async () => answerProbe(name, await parts.readHealth(), parts.nowMs())
  }
  const writeCheckpoints = createWriteCheckpointRoutes(parts, streams.requests)
  const handlers: { readonly [Name in RouteName]: Handler } = {
    syncStream: createSyncStreamRoute(parts, streams),
    checkpointRequest: writeCheckpoints.requested,
    writeCheckpoint: writeCheckpoints.managed,
    awaitedCheckpoint: writeCheckpoints.awaited,
    startup: probe('startup'),
    readiness: probe('readiness'),
    liveness: probe('liveness'),
    metrics: async () => {
      const { contentType, body } = await parts.readMetrics()
      return answerText(200, body, contentType)
    },
    ...createOperatorRoutes(parts),
  }
  const offered = ROUTE_LIST.filter(([, { token }]) => isOffered(token, audience))
  const byCall = new Map(offered.map(([name, { method, path }]) => [`${method} ${path}`, handlers[name]]))
  const paths = new Set(offered.map(([, { path }]) => path))
  return {
    labelOf: (path) => (paths.has(path) ? path : 'other'),
    answer: async (request) => {
      const { method, path, headers } = request
      if (method === 'OPTIONS') return answerPreflight(headers)
      const handler = byCall.get(`${method === 'HEAD' ? 'GET' : method} ${path}`)
      return handler === undefined ? answerNotFound(method, path) : handler(request)
    },
  }
}

function isOffered(token: RouteDescription['token'], audience: Audience): boolean {
  if (token === 'none' || audience === 'everybody') return true
  return token === 'client' ? audience === 'clients' : audience === 'operators'
}
