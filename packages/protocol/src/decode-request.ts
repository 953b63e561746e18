import { checkClientId } from './client-id.ts'
import { HeadwaterError } from './errors.ts'
import { OP_ID_ZERO, type OpId, parseOpId } from './op-id.ts'
import { toBucketName } from './operation.ts'
import type { RequestObject, RequestValue, StreamSubscription, SyncRequest } from './request.ts'
import type { LongArray, RequestPart } from './request-parts.ts'

/** Clients use 2147483647 for "everything", so no bucket may have it. */
const PRIORITY_MAX = 2_147_483_646

/** So many problems are listed; the rest are counted. */
const PROBLEMS_MAX = 10

/** After so many nobody reads on. */
const PROBLEMS_COUNTED_MAX = 1_000

/**
 * Reads the request object of a sync stream. No field is required, unknown ones are ignored, and null counts as absent,
 * because client generations differ. Throws `bad-request` with every problem found.
 */
export function decodeSyncRequest(json: unknown): SyncRequest {
  const decoder = new SyncRequestDecoder()
  if (isObject(json)) {
    const { buckets, streams } = json
    addAll(decoder, 'buckets', buckets)
    if (isObject(streams)) addAll(decoder, 'streams.subscriptions', streams['subscriptions'])
  }
  return decoder.finish(json)
}

function addAll(decoder: SyncRequestDecoder, array: LongArray, elements: RequestValue | undefined): void {
  if (elements !== undefined && isJsonArray(elements)) decoder.add({ array, isFirst: true, elements })
}

/** The same for a request that comes in parts: first the elements of its long arrays, then everything else. */
export class SyncRequestDecoder {
  #buckets = new ElementDecoder('buckets', decodePosition)
  #subscriptions = new ElementDecoder('streams.subscriptions', decodeSubscription)

  add({ array, isFirst, elements }: Pick<RequestPart, 'array' | 'isFirst' | 'elements'>): void {
    if (array === 'buckets') {
      if (isFirst) this.#buckets = new ElementDecoder(array, decodePosition)
      this.#buckets.add(elements)
    } else {
      if (isFirst) this.#subscriptions = new ElementDecoder(array, decodeSubscription)
      this.#subscriptions.add(elements)
    }
  }

  /** `json` may have anything in its long arrays. Throws `bad-request` with every problem found. */
  finish(json: unknown): SyncRequest {
    const problems = new Problems()
    const fields = objectOf(json, 'request', problems) ?? {}
    const streams = objectOf(fields['streams'] ?? undefined, 'streams', problems)
    const request: SyncRequest = {
      buckets: hasArray(fields['buckets'], 'buckets', problems) ? this.#buckets.takeFrom(problems) : [],
      clientId: decodeClientId(fields['client_id'], problems),
      parameters: objectOf(fields['parameters'], 'parameters', problems) ?? {},
      appMetadata: decodeAppMetadata(fields['app_metadata'], problems),
      rawData: booleanOf(fields['raw_data'], 'raw_data', problems) ?? false,
      includeDefaults: booleanOf(streams?.['include_defaults'], 'streams.include_defaults', problems) ?? true,
      namesStreams: streams !== undefined,
      subscriptions:
        streams !== undefined && hasSubscriptions(streams['subscriptions'], problems)
          ? this.#subscriptions.takeFrom(problems)
          : [],
    }
    if (problems.count > 0) throw badRequest(problems)
    return request
  }
}

type DecodeElement<Decoded> = (element: RequestValue, path: string, problems: Problems) => Decoded | undefined

/** Elements of one array, which come in parts. */
class ElementDecoder<Decoded> {
  readonly #path: string
  readonly #decode: DecodeElement<Decoded>
  readonly #decoded: Decoded[] = []
  readonly #problems = new Problems()
  #index = 0

  constructor(path: string, decode: DecodeElement<Decoded>) {
    this.#path = path
    this.#decode = decode
  }

  add(elements: readonly RequestValue[]): void {
    for (const element of elements) {
      const decoded = this.#decode(element, `${this.#path}[${this.#index}]`, this.#problems)
      if (decoded !== undefined) this.#decoded.push(decoded)
      this.#index += 1
      if (this.#problems.count >= PROBLEMS_COUNTED_MAX) throw badRequest(this.#problems)
    }
  }

  takeFrom(problems: Problems): readonly Decoded[] {
    problems.add(this.#problems)
    return this.#decoded
  }
}

/** What is wrong with a request: the first ones in words. */
class Problems {
  readonly listed: string[] = []
  count = 0

  push(problem: string): void {
    if (this.count < PROBLEMS_MAX) this.listed.push(problem)
    this.count += 1
  }

  add({ listed, count }: Problems): void {
    for (const problem of listed) this.push(problem)
    this.count += count - listed.length
  }
}

function badRequest({ listed, count }: Problems): HeadwaterError {
  const others = `${count < PROBLEMS_COUNTED_MAX ? '' : 'at least '}${count - listed.length} more`
  const unlisted = count > listed.length ? `; and ${others}` : ''
  return new HeadwaterError('bad-request', `Cannot read the sync request: ${listed.join('; ')}${unlisted}`)
}

function decodeClientId(value: RequestValue | undefined, problems: Problems): string | undefined {
  const clientId = stringOf(value, 'client_id', problems)
  if (clientId !== undefined) checkClientId(clientId, problems)
  return clientId
}

function decodePosition(
  element: RequestValue,
  path: string,
  problems: Problems,
): SyncRequest['buckets'][number] | undefined {
  const fields = objectOf(element, path, problems)
  if (fields === undefined) return undefined
  const name = fields['name']
  if (typeof name !== 'string') problems.push(`${path}.name: expected text, got ${quote(name)}`)
  const after = decodeAfter(fields['after'], `${path}.after`, problems)
  return typeof name === 'string' ? { name: toBucketName(name), after } : undefined
}

function decodeAfter(value: RequestValue | undefined, path: string, problems: Problems): OpId {
  try {
    if (typeof value === 'string') return parseOpId(value)
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error
  }
  problems.push(`${path}: expected decimal digits as text, got ${quote(value)}`)
  return OP_ID_ZERO
}

function hasSubscriptions(value: RequestValue | undefined, problems: Problems): boolean {
  const path = 'streams.subscriptions'
  if (value === undefined || value === null) problems.push(`${path}: expected an array, got nothing`)
  return hasArray(value, path, problems)
}

function decodeSubscription(element: RequestValue, path: string, problems: Problems): StreamSubscription | undefined {
  const fields = objectOf(element, path, problems)
  if (fields === undefined) return undefined
  const stream = stringOf(fields['stream'], `${path}.stream`, problems)
  if (stream === undefined) {
    problems.push(`${path}.stream: expected text, got ${quote(fields['stream'])}`)
    return undefined
  }
  const overridePriority = decodePriority(fields['override_priority'], `${path}.override_priority`, problems)
  const parameters = objectOf(fields['parameters'], `${path}.parameters`, problems) ?? {}
  return { stream, parameters, overridePriority }
}

function decodePriority(value: RequestValue | undefined, path: string, problems: Problems): number | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= PRIORITY_MAX) return value
  problems.push(`${path}: expected a whole number from 0 to ${PRIORITY_MAX}, got ${quote(value)}`)
  return undefined
}

function decodeAppMetadata(value: RequestValue | undefined, problems: Problems): { readonly [key: string]: string } {
  const entries = Object.entries(objectOf(value, 'app_metadata', problems) ?? {})
  const texts: [string, string][] = []
  for (const [key, entry] of entries) {
    if (typeof entry === 'string') texts.push([key, entry])
    else problems.push(`app_metadata.${key}: expected text, got ${quote(entry)}`)
  }
  return Object.fromEntries(texts)
}

function objectOf(value: unknown, path: string, problems: Problems): RequestObject | undefined {
  if (value === undefined || value === null) return undefined
  if (isObject(value)) return value
  problems.push(`${path}: expected an object, got ${quote(value)}`)
  return undefined
}

function isObject(value: unknown): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** False for none. */
function hasArray(value: RequestValue | undefined, path: string, problems: Problems): boolean {
  if (value === undefined || value === null) return false
  if (isJsonArray(value)) return true
  problems.push(`${path}: expected an array, got ${quote(value)}`)
  return false
}

function isJsonArray(value: RequestValue): value is readonly RequestValue[] {
  return Array.isArray(value)
}

function stringOf(value: RequestValue | undefined, path: string, problems: Problems): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  problems.push(`${path}: expected text, got ${quote(value)}`)
  return undefined
}

function booleanOf(value: RequestValue | undefined, path: string, problems: Problems): boolean | undefined {
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
