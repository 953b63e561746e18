import { checkClientId } from './client-id.ts'
import { HeadwaterError } from './errors.ts'
import { OP_ID_ZERO, type OpId, parseOpId } from './op-id.ts'
import { toBucketName } from './operation.ts'
import type { RequestObject, RequestValue, StreamSubscription, SyncRequest } from './request.ts'

/** Clients use 2147483647 for "everything", so no bucket may have it. */
const PRIORITY_MAX = 2_147_483_646

/** So many problems are listed; the rest are counted. */
const PROBLEMS_MAX = 10

/**
 * Reads the request object of a sync stream. No field is required, unknown ones are ignored, and null counts as absent,
 * because client generations differ. Throws `bad-request` with every problem found.
 */
export function decodeSyncRequest(json: unknown): SyncRequest {
  const problems: string[] = []
  const fields = objectOf(json, 'request', problems) ?? {}
  const streams = objectOf(fields['streams'] ?? undefined, 'streams', problems)
  const request: SyncRequest = {
    buckets: arrayOf(fields['buckets'], 'buckets', problems).flatMap((item, index) =>
      decodePosition(item, `buckets[${index}]`, problems),
    ),
    clientId: decodeClientId(fields['client_id'], problems),
    parameters: objectOf(fields['parameters'], 'parameters', problems) ?? {},
    appMetadata: decodeAppMetadata(fields['app_metadata'], problems),
    rawData: booleanOf(fields['raw_data'], 'raw_data', problems) ?? false,
    includeDefaults: booleanOf(streams?.['include_defaults'], 'streams.include_defaults', problems) ?? true,
    namesStreams: streams !== undefined,
    subscriptions: streams === undefined ? [] : decodeSubscriptions(streams['subscriptions'], problems),
  }
  if (problems.length > 0) throw badRequest(problems)
  return request
}

function badRequest(problems: readonly string[]): HeadwaterError {
  const listed = problems.slice(0, PROBLEMS_MAX).join('; ')
  const unlisted = problems.length > PROBLEMS_MAX ? `; and ${problems.length - PROBLEMS_MAX} more` : ''
  return new HeadwaterError('bad-request', `Cannot read the sync request: ${listed}${unlisted}`)
}

function decodeClientId(value: RequestValue | undefined, problems: string[]): string | undefined {
  const clientId = stringOf(value, 'client_id', problems)
  if (clientId !== undefined) checkClientId(clientId, problems)
  return clientId
}

function decodePosition(item: RequestValue, path: string, problems: string[]): SyncRequest['buckets'] {
  const fields = objectOf(item, path, problems)
  if (fields === undefined) return []
  const name = fields['name']
  if (typeof name !== 'string') problems.push(`${path}.name: expected text, got ${quote(name)}`)
  const after = decodeAfter(fields['after'], `${path}.after`, problems)
  return typeof name === 'string' ? [{ name: toBucketName(name), after }] : []
}

function decodeAfter(value: RequestValue | undefined, path: string, problems: string[]): OpId {
  try {
    if (typeof value === 'string') return parseOpId(value)
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error
  }
  problems.push(`${path}: expected decimal digits as text, got ${quote(value)}`)
  return OP_ID_ZERO
}

function decodeSubscriptions(value: RequestValue | undefined, problems: string[]): readonly StreamSubscription[] {
  if (value === undefined || value === null) {
    problems.push('streams.subscriptions: expected an array, got nothing')
    return []
  }
  return arrayOf(value, 'streams.subscriptions', problems).flatMap((item, index) =>
    decodeSubscription(item, `streams.subscriptions[${index}]`, problems),
  )
}

function decodeSubscription(item: RequestValue, path: string, problems: string[]): StreamSubscription[] {
  const fields = objectOf(item, path, problems)
  if (fields === undefined) return []
  const stream = stringOf(fields['stream'], `${path}.stream`, problems)
  if (stream === undefined) {
    problems.push(`${path}.stream: expected text, got ${quote(fields['stream'])}`)
    return []
  }
  const overridePriority = decodePriority(fields['override_priority'], `${path}.override_priority`, problems)
  const parameters = objectOf(fields['parameters'], `${path}.parameters`, problems) ?? {}
  return [{ stream, parameters, overridePriority }]
}

function decodePriority(value: RequestValue | undefined, path: string, problems: string[]): number | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= PRIORITY_MAX) return value
  problems.push(`${path}: expected a whole number from 0 to ${PRIORITY_MAX}, got ${quote(value)}`)
  return undefined
}

function decodeAppMetadata(value: RequestValue | undefined, problems: string[]): { readonly [key: string]: string } {
  const entries = Object.entries(objectOf(value, 'app_metadata', problems) ?? {})
  const texts: [string, string][] = []
  for (const [key, entry] of entries) {
    if (typeof entry === 'string') texts.push([key, entry])
    else problems.push(`app_metadata.${key}: expected text, got ${quote(entry)}`)
  }
  return Object.fromEntries(texts)
}

function objectOf(value: unknown, path: string, problems: string[]): RequestObject | undefined {
  if (value === undefined || value === null) return undefined
  if (isObject(value)) return value
  problems.push(`${path}: expected an object, got ${quote(value)}`)
  return undefined
}

function isObject(value: unknown): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function arrayOf(value: RequestValue | undefined, path: string, problems: string[]): readonly RequestValue[] {
  if (value === undefined || value === null) return []
  if (isJsonArray(value)) return value
  problems.push(`${path}: expected an array, got ${quote(value)}`)
  return []
}

function isJsonArray(value: RequestValue): value is readonly RequestValue[] {
  return Array.isArray(value)
}

function stringOf(value: RequestValue | undefined, path: string, problems: string[]): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  problems.push(`${path}: expected text, got ${quote(value)}`)
  return undefined
}

function booleanOf(value: RequestValue | undefined, path: string, problems: string[]): boolean | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'boolean') return value
  problems.push(`${path}: expected true or false, got ${quote(value)}`)
  return undefined
}

function quote(value: unknown): string {
  return value === undefined
    ? 'nothing'
    : (
        JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? typeof value
      ).slice(0, 60)
}
