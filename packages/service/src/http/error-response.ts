import { ERROR_TABLE, type ErrorCode, type ErrorEntry, HeadwaterError } from '@headwater/protocol'
import { answerJson, type WholeAnswer } from './answer.ts'

/** Clients that may try again are asked to leave this much time, and up to so much more, each another. */
const RETRY_AFTER_SECONDS = 5
const RETRY_SPREAD_SECONDS = 15

/** What the protocol says of a code; a code that is not here is told as it is. */
const DESCRIPTIONS: { readonly [Code in ErrorCode]?: string } = {
  'auth-expired': 'JWT has expired',
  'auth-missing': 'Authentication required',
  'auth-operator': 'Authorization failed',
  'bad-request': 'Validation failed',
  'bad-sync-config': 'The sync config cannot be used',
  'compaction-running': 'A compaction is at work already',
  'custom-write-checkpoints': 'Validation failed',
  internal: 'Something went wrong',
  'jwks-address-refused': 'The keys that verify tokens cannot be fetched',
  'no-active-sync-config': 'No sync config is active',
  'no-sync-config': 'No sync config available',
  'replication-behind': 'Replication has not come so far in time',
  'shutting-down': 'The service is stopping',
  'source-unreachable': 'The source database does not answer',
  'sync-config-deploying': 'Another sync config is being deployed',
  'sync-config-from-file': 'The sync config comes from a file of the service and cannot be deployed',
}

const FRESH_TOKEN = "The app's fetchCredentials must return a fresh token"

/** What mends a refused token. */
const REMEDIES: { readonly [Code in ErrorCode]?: string } = {
  'auth-audience': `${FRESH_TOKEN} whose "aud" is an audience of the service (auth.audience)`,
  'auth-bad-token': `${FRESH_TOKEN}, signed with a key that the service has (auth.secret, auth.keys or auth.jwksUrls); the log of the service says more`,
  'auth-expired': `${FRESH_TOKEN} each time it is called, not a stored one; if it does, compare the clocks of the token issuer and the service`,
  'auth-lifetime': `${FRESH_TOKEN} with a nearer "exp"`,
  'auth-revoked': `${FRESH_TOKEN}, issued after the revocation, if the user may still sync`,
}

/** Codes whose message is for the client. The words of all others stay in the log: they may speak of paths and hosts. */
const TOLD: ReadonlySet<ErrorCode> = new Set([
  'auth-audience',
  'auth-bad-token',
  'auth-lifetime',
  'auth-revoked',
  'bad-parameters',
  'bad-request',
  'bad-sync-config',
  'compaction-running',
  'custom-write-checkpoints',
  'jwks-unavailable',
  'no-sync-config',
  'request-too-large',
  'too-many-buckets',
  'too-many-connections',
  'too-many-requests',
  'too-many-user-connections',
  'too-many-user-requests',
  'request-memory-full',
  'unsupported-media-type',
])

/** Anything thrown, as a body that says no more than a stranger may know. */
export function answerError(error: unknown): WholeAnswer {
  return error instanceof HeadwaterError ? answerCode(error.code, error.message) : answerCode('internal')
}

/** `message` is shown for the codes whose words are for clients. */
export function answerCode(code: ErrorCode, message = ''): WholeAnswer {
  const { status, retry }: ErrorEntry = ERROR_TABLE[code]
  const headers =
    (status === 503 || status === 429) && retry === 'backoff' ? { 'Retry-After': String(RETRY_AFTER_SECONDS) } : {}
  return answerJson(status, { error: tellCode(code, message) }, headers)
}

/** Thousands that are sent away in one second are not to come back in one. `random`: at least 0, below 1. */
export function spreadRetryAfter(answer: WholeAnswer, random: () => number): WholeAnswer {
  const { 'Retry-After': after, ...headers } = answer.headers
  if (after === undefined) return answer
  const seconds = Number(after) + Math.floor(random() * (RETRY_SPREAD_SECONDS + 1))
  return { ...answer, headers: { ...headers, 'Retry-After': String(seconds) } }
}

/** What a client is told of an error, whatever carries it. */
export type ToldError = {
  readonly code: string
  readonly status: number
  readonly description: string
  readonly name: string
  readonly details?: string
  readonly severity?: string
}

/** Anything thrown. */
export function tellError(error: unknown): ToldError {
  return error instanceof HeadwaterError ? tellCode(error.code, error.message) : tellCode('internal')
}

/** `message` is shown for the codes whose words are for clients. */
export function tellCode(code: ErrorCode, message = ''): ToldError {
  const { status, wireCode }: ErrorEntry = ERROR_TABLE[code]
  const told = TOLD.has(code) && message !== ''
  const description = DESCRIPTIONS[code] ?? (told ? message : 'Something went wrong')
  const details = REMEDIES[code] ?? (told && description !== message ? detailsOf(code, message) : undefined)
  return {
    code: wireCode,
    status,
    description,
    name: nameOf(code, status),
    ...(details === undefined ? {} : { details }),
    ...(status === 500 && description === 'Something went wrong' ? { severity: 'error' } : {}),
  }
}

export function answerNotFound(method: string, path: string): WholeAnswer {
  const error = tellNotFound(`${method} ${JSON.stringify(path)}`)
  return answerJson(error.status, { error })
}

/** `what` was asked for. */
export function tellNotFound(what: string): ToldError {
  const { wireCode: code, status } = ERROR_TABLE['not-found']
  const description = 'The path does not exist on this server'
  return {
    code,
    status,
    description,
    details: `The path ${what} does not exist on this server`,
    severity: 'info',
    name: 'RouteNotFound',
  }
}

/** Class names that clients' logs know; nothing decides by them. */
function nameOf(code: ErrorCode, status: number): string {
  if (status === 401) return 'AuthorizationError'
  return VALIDATION.has(code) ? 'ValidationError' : 'ServiceError'
}

const VALIDATION: ReadonlySet<ErrorCode> = new Set(['bad-request', 'custom-write-checkpoints'])

/** Validation errors list their problems as a JSON array in text. */
function detailsOf(code: ErrorCode, message: string): string {
  return VALIDATION.has(code) ? JSON.stringify([message]) : message
}
