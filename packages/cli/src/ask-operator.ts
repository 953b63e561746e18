import { HeadwaterError } from '@headwater/protocol'

/** Longer means that the service hangs. */
const ANSWER_WITHIN_MS = 10_000

/** Of a verb that speaks with a running service as its operator. */
export type OperatorFlags = { readonly url: string; readonly apiToken?: string }

export type OperatorCall = {
  /** The verb, for messages. */
  readonly doing: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: object
}

export type Fields = { readonly [field: string]: unknown }

/**
 * The result of a call; without fields where the service has nothing to tell. Throws `service-unreachable`,
 * `auth-operator`, `not-found`, `bad-request`, `compaction-running`, each with words that say what to do.
 */
export async function askOperator(flags: OperatorFlags, call: OperatorCall): Promise<Fields> {
  const response = await send(flags, call)
  const body: unknown = await response.json().catch(() => undefined)
  const { data, error } = toFields(body)
  if (response.ok && data !== undefined) return toFields(data)
  throw refusal(response.status, toFields(error), flags, call)
}

async function send({ url, apiToken }: OperatorFlags, { doing, method, path, body }: OperatorCall): Promise<Response> {
  const token = apiToken ?? process.env['HEADWATER_API_TOKENS']?.split(',')[0]?.trim() ?? ''
  try {
    return await fetch(`${url.replace(/\/+$/, '')}${path}`, {
      method,
      headers: {
        authorization: `Token ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    })
  } catch (cause) {
    throw new HeadwaterError(
      'service-unreachable',
      `Cannot ${doing}: no service answers at ${url}. Name its address with --url.`,
      { cause },
    )
  }
}

function refusal(status: number, error: Fields, { url }: OperatorFlags, { doing }: OperatorCall): HeadwaterError {
  const { code, description = `status ${status}`, details } = error
  const said = [description, details]
    .filter((part) => part !== undefined)
    .map(String)
    .join(': ')
  switch (status) {
    case 400:
      return new HeadwaterError('bad-request', `Cannot ${doing}: ${said}`)
    case 401:
      return new HeadwaterError(
        'auth-operator',
        `Cannot ${doing}: the service does not accept the token. Give one of its api.tokens with --api-token or HEADWATER_API_TOKENS. A service without api.tokens accepts none: set some, and start it again.`,
      )
    case 404:
      return new HeadwaterError(
        'not-found',
        `Cannot ${doing}: ${url} does not answer operators. With api.port they have an address of their own: name it with --url.`,
      )
    case 409:
      return new HeadwaterError('compaction-running', String(details))
    default:
      return new HeadwaterError('service-unreachable', `Cannot ${doing}: the service says ${said} (${String(code)}).`)
  }
}

function toFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
