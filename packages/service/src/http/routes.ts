import { type Answer, answerText, type HttpRequest } from './answer.ts'
import { answerPreflight } from './cors.ts'
import { answerNotFound } from './error-response.ts'
import type { HttpParts } from './http-parts.ts'
import { answerProbe, type Probe } from './probes.ts'
import { createSyncStreamRoute } from './sync-stream.ts'
import type { SyncStreams } from './sync-streams.ts'
import { createWriteCheckpointRoutes } from './write-checkpoint.ts'

type Handler = (request: HttpRequest) => Promise<Answer>

export type Routes = {
  readonly answer: Handler
  /** The path if there is a route for it, else `other`: what metrics may be labelled with. */
  readonly labelOf: (path: string) => string
}

/** Every path the service answers, and what it answers to all others. */
export function createRoutes(parts: HttpParts, streams: SyncStreams): Routes {
  const probe = (name: Probe): Handler => {
    return async () => answerProbe(name, parts.readHealth(), parts.nowMs())
  }
  const writeCheckpoints = createWriteCheckpointRoutes(parts)
  const posts: ReadonlyMap<string, Handler> = new Map([
    ['/sync/stream', createSyncStreamRoute(parts, streams)],
    ['/sync/checkpoint-request', writeCheckpoints.requested],
  ])
  const gets: ReadonlyMap<string, Handler> = new Map([
    ['/write-checkpoint2.json', writeCheckpoints.managed],
    ['/write-checkpoint.json', writeCheckpoints.awaited],
    ['/probes/startup', probe('startup')],
    ['/probes/readiness', probe('readiness')],
    ['/probes/liveness', probe('liveness')],
    [
      '/metrics',
      async () => {
        const { contentType, body } = await parts.readMetrics()
        return answerText(200, body, contentType)
      },
    ],
  ])
  return {
    labelOf: (path) => (posts.has(path) || gets.has(path) ? path : 'other'),
    answer: async (request) => {
      const { method, path, headers } = request
      if (method === 'OPTIONS') return answerPreflight(headers)
      const handler =
        method === 'POST' ? posts.get(path) : method === 'GET' || method === 'HEAD' ? gets.get(path) : undefined
      return handler === undefined ? answerNotFound(method, path) : handler(request)
    },
  }
}
