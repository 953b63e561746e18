import type { OperatorRoute } from './operator-routes.ts'

/** A schema of JSON, as OpenAPI writes it. */
export type JsonSchema = { readonly [keyword: string]: unknown }

export type RouteDescription = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly summary: string
  /** Whose token it takes; those of `operator` are on the listener of operators, where there is one. */
  readonly token: 'client' | 'operator' | 'none'
  readonly query?: { readonly [name: string]: string }
  readonly body?: JsonSchema
  /** Also the config's own text, as `application/yaml`. */
  readonly takesYaml?: boolean
  /** Status 200: by content type. */
  readonly answer: { readonly [contentType: string]: JsonSchema }
  /** Statuses besides 200, and those of every call with a body or a token. */
  readonly failures: { readonly [status: number]: string }
}

const TEXT: JsonSchema = { type: 'string' }
const DECIMAL: JsonSchema = { type: 'string', pattern: '^[0-9]+$' }
const FLAG: JsonSchema = { type: 'boolean' }
const OBJECT: JsonSchema = { type: 'object' }

function object(properties: { readonly [name: string]: JsonSchema }, required: readonly string[] = []): JsonSchema {
  return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) }
}

function array(items: JsonSchema): JsonSchema {
  return { type: 'array', items }
}

function data(result: JsonSchema): { readonly [contentType: string]: JsonSchema } {
  return { 'application/json': object({ data: result }, ['data']) }
}

const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` })

const CLIENT_ID = { client_id: 'The name that the client gives itself; the same as in its stream.' }
const NO_CONFIG = 'No sync config is served yet (`PSYNC_S2302`); clients try again.'
const SOURCE_AWAY = 'The source database does not answer; clients try again.'
const MADE_BY_BACKEND =
  'The request is malformed, or the backend makes write checkpoints and this cannot be answered for it (`PSYNC_S2001`).'
const BUSY = 'As many calls of this kind are open as may be; come back after `Retry-After`.'

const PROBE = { 'application/json': ref('Health') }
const PROBE_FAILURES = { 400: 'It is not so; the body says why.' }
const RESULT_OF_DEPLOY = data(object({ slot_name: TEXT }, ['slot_name']))
const DEPLOYING = 'Another config is being deployed (`PSYNC_S4106`).'
const NONE_ACTIVE = 'No config is active (`PSYNC_S4104`).'

const CLIENT_ROUTES = {
  syncStream: {
    method: 'POST',
    path: '/sync/stream',
    summary:
      'Opens a sync stream: one line after the other until either side ends it. Before the service does, it says why: `stream_end` or `stream_error`.',
    token: 'client',
    body: ref('SyncRequest'),
    answer: {
      'application/x-ndjson': {
        type: 'string',
        description: [
          'Lines of JSON, each with one key; unknown keys are to be passed over.',
          'Where the service ends a stream that has begun, there is {"stream_end":{"reason","retry_after_ms"?}} before the',
          'end, with the reason token_expired, token_revoked (token_expires_in 0 follows these two), config_changed or',
          'shutdown; before a stream breaks off, {"stream_error":{"code","message","retry_after_ms"?}}. Clients may leave',
          'at either. Who is asked to leave some time, as many lose their streams together, should do so.',
          'In {"checkpoint":{…}} there are figures beside what clients need: "limits":{"buckets","buckets_max"},',
          '"streams"[]."buckets" and, where a subscription is left out for having too many, "errors"[]."buckets".',
        ].join(' '),
      },
      'application/vnd.powersync.bson-stream': {
        type: 'string',
        format: 'binary',
        description: 'The same lines as BSON documents.',
      },
    },
    failures: {
      429: BUSY,
      500: `${NO_CONFIG} Or the client has too many buckets (\`PSYNC_S2305\`).`,
      503: 'The service is stopping.',
    },
  },
  checkpointRequest: {
    method: 'POST',
    path: '/sync/checkpoint-request',
    summary: 'Notes a number of the client, which its stream announces once everything written before is in it.',
    token: 'client',
    body: object(
      {
        client_id: TEXT,
        checkpoint_request_id: {
          description: '1 to 9223372036854775807.',
          oneOf: [DECIMAL, { type: 'integer', minimum: 1 }],
        },
      },
      ['client_id', 'checkpoint_request_id'],
    ),
    answer: data(
      object({ checkpoint_request_id: { ...DECIMAL, description: 'The highest number that is noted.' } }, [
        'checkpoint_request_id',
      ]),
    ),
    failures: { 400: MADE_BY_BACKEND, 429: BUSY, 503: SOURCE_AWAY },
  },
  writeCheckpoint: {
    method: 'GET',
    path: '/write-checkpoint2.json',
    summary: 'Gives a number that the stream announces once everything written before this call is in it.',
    token: 'client',
    query: CLIENT_ID,
    answer: data(object({ write_checkpoint: DECIMAL }, ['write_checkpoint'])),
    failures: { 400: MADE_BY_BACKEND, 429: BUSY, 500: NO_CONFIG, 503: SOURCE_AWAY },
  },
  awaitedCheckpoint: {
    method: 'GET',
    path: '/write-checkpoint.json',
    summary:
      'Waits up to 50 s until everything written before is in a checkpoint, and names it. For the oldest clients.',
    token: 'client',
    query: CLIENT_ID,
    answer: data(object({ checkpoint: DECIMAL }, ['checkpoint'])),
    failures: {
      400: MADE_BY_BACKEND,
      429: BUSY,
      500: NO_CONFIG,
      503: 'Replication has not come so far in time, or the source does not answer.',
    },
  },
} as const satisfies Readonly<Record<string, RouteDescription>>

const OPEN_ROUTES = {
  startup: {
    method: 'GET',
    path: '/probes/startup',
    summary: 'Has the service begun its work?',
    token: 'none',
    answer: PROBE,
    failures: PROBE_FAILURES,
  },
  readiness: {
    method: 'GET',
    path: '/probes/readiness',
    summary: 'Can it do its work: does what the source commits reach clients?',
    token: 'none',
    answer: PROBE,
    failures: PROBE_FAILURES,
  },
  liveness: {
    method: 'GET',
    path: '/probes/liveness',
    summary: 'Does the process show signs of life? A source or a disk that is away is no reason to start it again.',
    token: 'none',
    answer: PROBE,
    failures: PROBE_FAILURES,
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics in the text format of Prometheus.',
    token: 'none',
    answer: { 'text/plain': TEXT },
    failures: {},
  },
} as const satisfies Readonly<Record<string, RouteDescription>>

const OPERATOR_ROUTES = {
  diagnostics: {
    method: 'POST',
    path: '/api/admin/v1/diagnostics',
    summary: 'How the source and the sync config are doing.',
    token: 'operator',
    body: object({ sync_rules_content: { ...FLAG, description: 'Also the text of the config.' } }),
    answer: data(ref('Diagnostics')),
    failures: {},
  },
  schema: {
    method: 'POST',
    path: '/api/admin/v1/schema',
    summary: 'The tables of the source and their columns.',
    token: 'operator',
    body: OBJECT,
    answer: data(ref('Schema')),
    failures: { 503: SOURCE_AWAY },
  },
  executeSql: {
    method: 'POST',
    path: '/api/admin/v1/execute-sql',
    summary: 'Is not offered: answers that it is switched off.',
    token: 'operator',
    body: OBJECT,
    answer: data(
      object({ success: FLAG, results: object({ columns: array(TEXT), rows: array(array({})) }), error: TEXT }),
    ),
    failures: {},
  },
  reprocess: {
    method: 'POST',
    path: '/api/admin/v1/reprocess',
    summary: 'Builds everything anew from the source, with the config that is served.',
    token: 'operator',
    body: OBJECT,
    answer: data(object({ connections: array(object({ id: TEXT, tag: TEXT, slot_name: TEXT })) })),
    failures: { 409: DEPLOYING, 422: NONE_ACTIVE },
  },
  revoke: {
    method: 'POST',
    path: '/api/admin/v1/revoke',
    summary: 'Ends the streams of a user at once, and refuses the tokens that were issued before.',
    token: 'operator',
    body: object(
      {
        user_id: { ...TEXT, description: 'The `sub` of the tokens, as text.' },
        client_id: { ...TEXT, description: 'Only what this client of the user does.' },
        token_id: { ...TEXT, description: 'Only the token with this `jti`.' },
        issued_before: {
          description: 'Only tokens that were issued before; otherwise up to now. A number is seconds since 1970.',
          oneOf: [{ type: 'string', format: 'date-time' }, { type: 'number' }],
        },
      },
      ['user_id'],
    ),
    answer: data(
      object({ user_id: TEXT, client_id: TEXT, token_id: TEXT, issued_before: TEXT, expires_at: TEXT }, [
        'user_id',
        'issued_before',
        'expires_at',
      ]),
    ),
    failures: { 503: 'It is in force, but could not be stored: a restart would forget it. Call again.' },
  },
  compact: {
    method: 'POST',
    path: '/api/admin/v1/compact',
    summary:
      'Compacts the stored buckets now, instead of when enough is superseded. Answers when that has ended, or with `"wait": false` at once.',
    token: 'operator',
    body: object({ wait: FLAG }),
    answer: data(ref('Compaction')),
    failures: { 409: 'One that was asked for is still at work (`PSYNC_S4107`).' },
  },
  compaction: {
    method: 'GET',
    path: '/api/admin/v1/compact',
    summary: 'How the last compaction stands that was asked for since the service was started; null without one.',
    token: 'operator',
    answer: data({ oneOf: [ref('Compaction'), { type: 'null' }] }),
    failures: {},
  },
  validate: {
    method: 'POST',
    path: '/api/admin/v1/validate',
    summary: 'Holds a sync config against the source; what is wrong is in `errors`.',
    token: 'operator',
    body: object({ sync_rules: TEXT }, ['sync_rules']),
    answer: data(ref('SyncConfigStatus')),
    failures: {},
  },
  deployConfig: {
    method: 'POST',
    path: '/api/sync-rules/v1/deploy',
    summary: 'Serves another sync config from now on.',
    token: 'operator',
    body: object({ content: TEXT }, ['content']),
    takesYaml: true,
    answer: RESULT_OF_DEPLOY,
    failures: {
      422: 'The config comes from a file of the service (`PSYNC_S4105`), or cannot be used (`PSYNC_R0001`).',
    },
  },
  validateConfig: {
    method: 'POST',
    path: '/api/sync-rules/v1/validate',
    summary: 'Says what a sync config does, or what is wrong with it. Not in `data`.',
    token: 'operator',
    body: object({ content: TEXT }, ['content']),
    takesYaml: true,
    answer: {
      'application/json': {
        oneOf: [ref('DescribedConfig'), object({ valid: FLAG, errors: array(TEXT) }, ['valid', 'errors'])],
      },
    },
    failures: {},
  },
  currentConfig: {
    method: 'GET',
    path: '/api/sync-rules/v1/current',
    summary: 'The sync config that is served, and the one that will be.',
    token: 'operator',
    answer: data(
      object({ current: ref('DeployedConfig'), next: { oneOf: [ref('DeployedConfig'), { type: 'null' }] } }),
    ),
    failures: { 422: NONE_ACTIVE },
  },
  reprocessConfig: {
    method: 'POST',
    path: '/api/sync-rules/v1/reprocess',
    summary: 'As `/api/admin/v1/reprocess`. Takes no field at all.',
    token: 'operator',
    body: { type: 'object', additionalProperties: false },
    answer: RESULT_OF_DEPLOY,
    failures: { 409: DEPLOYING, 422: NONE_ACTIVE },
  },
} as const satisfies { readonly [Name in OperatorRoute]: RouteDescription }

/** Every path that the service answers. The handlers are in `routes.ts`, the reference page is written from this. */
export const ROUTES = { ...CLIENT_ROUTES, ...OPEN_ROUTES, ...OPERATOR_ROUTES } satisfies Readonly<
  Record<string, RouteDescription>
>

export type RouteName = keyof typeof ROUTES

/** By name, in the order of the page. */
export const ROUTE_LIST: readonly (readonly [RouteName, RouteDescription])[] = Object.entries(ROUTES).map(
  ([name, description]) => [name as RouteName, description],
)
