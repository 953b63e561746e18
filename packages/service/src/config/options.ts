import { availableParallelism } from 'node:os'
import { HeadwaterError } from '@headwater/protocol'
import { z } from 'zod'
import { supabaseJwksUrl } from '../auth/supabase.ts'
import { countWorkers } from './worker-count.ts'

const jwk = z.looseObject({ kty: z.string() })

const SOURCE_MISSING =
  'there is no source database: give its URL with --database-url, HEADWATER_SOURCE_URL or source.url in headwater.yaml'

const revocationTable = z.string().regex(/^[^".]+(?:\.[^".]+)?$/, 'a name such as "revocations" or "app.revocations"')

const positive = z.number().int().positive()

const MEBIBYTE = 1024 * 1024

/** The one schema of the service's settings: of the file, of the environment and of the flags. */
const schema = z.strictObject({
  source: z.strictObject(
    {
      /** `postgresql://user:password@host:port/database?sslmode=…` */
      url: z.string({ error: SOURCE_MISSING }).min(1, { error: SOURCE_MISSING }),
      publication: z.string().min(1).default('headwater'),
      slot: z
        .string()
        .regex(/^[a-z0-9_]{1,63}$/, 'lower-case letters, digits and underscores, 63 at most')
        .default('headwater'),
      /** From one canary to the next. */
      canarySeconds: z.number().min(0.1).max(3_600).default(5),
    },
    { error: (issue) => (issue.input === undefined ? SOURCE_MISSING : undefined) },
  ),
  storage: z
    .strictObject({
      /** The folder of the bucket storage; made when missing. */
      path: z.string().min(1).default('.headwater/storage'),
      /** Write checkpoints that nobody has used for so long are forgotten. */
      writeCheckpointDays: positive.default(30),
    })
    .prefault({}),
  syncConfig: z.strictObject({ content: z.string(), path: z.string().optional() }),
  http: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      /** 0: any free port. */
      port: z.number().int().min(0).max(65_535).default(8080),
      /** Processes that serve clients beside the one that replicates; 0: that one serves them, too. */
      workers: z
        .custom<number | 'auto'>(isWorkers, { error: 'expected a whole number from 0 to 64, or auto' })
        .default(0)
        .transform((workers) => (workers === 'auto' ? countWorkers(availableParallelism()) : workers)),
    })
    .prefault({}),
  auth: z
    .strictObject({
      /** Shared secret for HS256, as text. */
      secret: z.string().min(1).optional(),
      keys: z.array(jwk).default([]),
      jwksUrls: z.array(z.string().min(1)).default([]),
      /** May key servers be in private networks? */
      jwksPrivate: z.boolean().default(false),
      /** Accept tokens of the Supabase project whose database the source is. */
      supabase: z.boolean().default(false),
      /** Shared secret of a Supabase project, as text. */
      supabaseJwtSecret: z.string().min(1).optional(),
      /** Accepted audiences; empty: the audience is not checked, which goes with keys of one's own alone. */
      audience: z.array(z.string().min(1)).default([]),
      lifetimeMaxSeconds: positive.default(86_400),
      /** Table of the source whose rows revoke tokens, with its schema unless that is `public`; false: none. */
      revocationTable: z.union([revocationTable, z.literal(false)]).default('headwater_revocations'),
    })
    .prefault({}),
  api: z
    .strictObject({
      /** Of operators; empty: every call of an operator is refused. */
      tokens: z.array(z.string().min(16, { error: 'tokens have 16 characters or more' })).default([]),
      /** Absent: that of `http.host`. */
      host: z.string().min(1).optional(),
      /** A port for operators alone; 0: any free one. Absent: they use that of clients. */
      port: z.number().int().min(0).max(65_535).optional(),
    })
    .prefault({}),
  limits: z
    .strictObject({
      /** Sync streams at once, over both transports; those of one user. */
      connectionsMax: positive.default(10_000),
      userConnectionsMax: positive.default(1_000),
      /** Connections whose other end has not proven who it is, or that are idle. */
      newcomersMax: positive.default(4_000),
      /** Requests of one user, in the long run; twenty times as many at once. */
      userRequestsPerSecond: positive.default(20),
      /** Longest request of a client. */
      requestBytesMax: positive.default(8 * MEBIBYTE),
      /** What all requests hold in memory. */
      requestMemoryBytesMax: positive.default(128 * MEBIBYTE),
      /** What waits for a client must have gone within this time; what may wait for all. */
      stalledSecondsMax: positive.max(86_400).default(300),
      waitingBytesMax: positive.default(256 * MEBIBYTE),
      /** Requests for write checkpoints that wait for the source; those of one user. */
      writeCheckpointsMax: positive.default(2_000),
      userWriteCheckpointsMax: positive.default(200),
      /** Buckets of one client. */
      bucketsMax: positive.default(10_000),
      /** Characters of the data of one row: a line of the stream holds it whole, and clients hold the line. */
      rowCharactersMax: positive.default(15_000_000),
      /** Parameter results of one stream for one client; four times `bucketsMax` when absent. */
      parameterResultsMax: positive.optional(),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['silent', 'error', 'warn', 'info', 'debug']).default('info'),
      /** One line of text for people instead of JSON; absent: when standard output is a terminal. */
      pretty: z.boolean().optional(),
    })
    .prefault({}),
})

/** Every setting by its path, such as `http.port`. */
export const SETTINGS: readonly string[] = Object.entries(schema.shape).flatMap(([room, settings]) => {
  const object = settings instanceof z.ZodPrefault ? settings.unwrap() : settings
  return Object.keys(object.shape).map((setting) => `${room}.${setting}`)
})

/** What a caller gives; everything but the source, the sync config and the keys has a default. */
export type ServiceOptions = z.input<typeof schema>

/** The same with every default filled in. */
export type ServiceSettings = z.output<typeof schema>

/** Checks settings and fills in defaults. Throws `bad-settings`, naming every misspelt or wrong setting. */
export function parseServiceOptions(options: unknown): ServiceSettings {
  const parsed = schema.safeParse(options)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'settings'}: ${issue.message}`)
    throw new HeadwaterError('bad-settings', `Cannot use these settings:\n  ${problems.join('\n  ')}`)
  }
  const { auth, source } = parsed.data
  if (auth.supabase && auth.supabaseJwtSecret === undefined && supabaseJwksUrl(source.url) === undefined) {
    throw new HeadwaterError(
      'bad-settings',
      'Cannot use auth.supabase: the host of source.url is not db.<project>.supabase.co. Give auth.supabaseJwtSecret, ' +
        'or the URL of the project’s keys in auth.jwksUrls.',
    )
  }
  if (auth.jwksUrls.length > 0 && auth.audience.length === 0) {
    throw new HeadwaterError(
      'bad-settings',
      'Cannot use auth.jwksUrls without auth.audience: a key server signs tokens for other services, too, which would be ' +
        'good here as well. Give the "aud" that its tokens for this service have.',
    )
  }
  const hasKeys =
    auth.secret !== undefined ||
    auth.keys.length > 0 ||
    auth.jwksUrls.length > 0 ||
    auth.supabase ||
    auth.supabaseJwtSecret !== undefined
  if (!hasKeys) {
    throw new HeadwaterError(
      'bad-settings',
      'Cannot accept any client: give auth.secret, auth.keys or auth.jwksUrls, so that tokens can be verified.',
    )
  }
  return parsed.data
}

/** Environment variables and the settings that they stand for. Lists are separated by commas. */
export const ENVIRONMENT: readonly (readonly [
  variable: string,
  path: readonly [string, string],
  read: (text: string) => unknown,
])[] = [
  ['HEADWATER_SOURCE_URL', ['source', 'url'], (text) => text],
  ['HEADWATER_PUBLICATION', ['source', 'publication'], (text) => text],
  ['HEADWATER_SLOT', ['source', 'slot'], (text) => text],
  ['HEADWATER_STORAGE_PATH', ['storage', 'path'], (text) => text],
  ['HEADWATER_HOST', ['http', 'host'], (text) => text],
  ['HEADWATER_PORT', ['http', 'port'], Number],
  ['HEADWATER_WORKERS', ['http', 'workers'], (text) => (text === 'auto' ? text : Number(text))],
  ['HEADWATER_JWT_SECRET', ['auth', 'secret'], (text) => text],
  ['HEADWATER_JWKS_URLS', ['auth', 'jwksUrls'], readList],
  ['HEADWATER_AUDIENCE', ['auth', 'audience'], readList],
  ['HEADWATER_SUPABASE_JWT_SECRET', ['auth', 'supabaseJwtSecret'], (text) => text],
  ['HEADWATER_API_TOKENS', ['api', 'tokens'], readList],
  ['HEADWATER_API_PORT', ['api', 'port'], Number],
  ['HEADWATER_LOG_LEVEL', ['log', 'level'], (text) => text],
]

export type Settings = { readonly [room: string]: { readonly [setting: string]: unknown } | undefined }

/**
 * Lays flags over environment variables over the file; a value that is not given leaves the one below. Throws
 * `bad-settings` for a wrong value of a variable, by its name: later nobody knows where a value came from.
 */
export function mergeSettings(file: Settings, environment: NodeJS.ProcessEnv, flags: Settings): Settings {
  const fromEnvironment: Record<string, Record<string, unknown>> = {}
  for (const [variable, [room, setting], read] of ENVIRONMENT) {
    const text = environment[variable]
    if (text === undefined || text === '' || flags[room]?.[setting] !== undefined) continue
    const value = read(text)
    checkVariable(variable, [room, setting], value)
    fromEnvironment[room] = { ...fromEnvironment[room], [setting]: value }
  }
  const merged: Record<string, { [setting: string]: unknown }> = {}
  for (const layer of [file, fromEnvironment, flags]) {
    for (const [room, settings] of Object.entries(layer)) merged[room] = { ...merged[room], ...dropUndefined(settings) }
  }
  return merged
}

function checkVariable(variable: string, path: readonly [string, string], value: unknown): void {
  const problems = schema.safeParse({ [path[0]]: { [path[1]]: value } }).error?.issues ?? []
  const problem = problems.find((issue) => path.every((part, index) => issue.path[index] === part))
  if (problem === undefined) return
  throw new HeadwaterError(
    'bad-settings',
    `Cannot use the environment variable ${variable}, which stands for ${path.join('.')}: ${problem.message}`,
  )
}

function isWorkers(value: unknown): boolean {
  return value === 'auto' || (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 64)
}

function dropUndefined(settings: { readonly [setting: string]: unknown } | undefined): { [setting: string]: unknown } {
  return Object.fromEntries(Object.entries(settings ?? {}).filter(([, value]) => value !== undefined))
}

function readList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}
