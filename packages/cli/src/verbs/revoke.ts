import { HeadwaterError } from '@headwater/protocol'

import { paintOn } from '../report.ts'

export type RevokeFlags = {
  readonly user: string
  readonly client?: string
  readonly tokenId?: string
  readonly issuedBefore?: string
  readonly url: string
  readonly apiToken?: string
  readonly json?: boolean
}

/** Longer means that the service hangs. */
const ANSWER_WITHIN_MS = 10_000

/** Has a running service end a user's streams, and refuse the tokens from before. */
export async function runRevoke(flags: RevokeFlags): Promise<void> {
  const revoked = await call(flags)
  if (flags.json === true) {
    console.log(JSON.stringify(revoked))
    return
  }
  const { user_id: user, issued_before: before, expires_at: until } = revoked
  console.log(
    `${paintOn(process.stdout, 'green', '✓ revoked')}  tokens of ${String(user)} issued before ${String(before)}`,
  )
  console.log(`  forgotten at ${String(until)}, when the last of them has expired`)
}

async function call(flags: RevokeFlags): Promise<{ readonly [field: string]: unknown }> {
  const response = await ask(flags)
  const body: unknown = await response.json().catch(() => undefined)
  const { data, error } = toFields(body)
  if (response.ok && data !== undefined) return toFields(data)
  const { code, description = `status ${response.status}`, details } = toFields(error)
  const said = [description, details]
    .filter((part) => part !== undefined)
    .map(String)
    .join(': ')
  switch (response.status) {
    case 400:
      throw new HeadwaterError('bad-request', `Cannot revoke: ${said}`)
    case 401:
      throw new HeadwaterError(
        'auth-operator',
        'Cannot revoke: the service does not accept the token. Give one of its api.tokens with --api-token or HEADWATER_API_TOKENS.',
      )
    case 404:
      throw new HeadwaterError(
        'not-found',
        `Cannot revoke: ${flags.url} does not answer operators. With api.port they have an address of their own: name it with --url.`,
      )
    default:
      throw new HeadwaterError('service-unreachable', `Cannot revoke: the service says ${said} (${String(code)}).`)
  }
}

async function ask({ user, client, tokenId, issuedBefore, url, apiToken }: RevokeFlags): Promise<Response> {
  const token = apiToken ?? process.env['HEADWATER_API_TOKENS']?.split(',')[0]?.trim() ?? ''
  try {
    return await fetch(`${url.replace(/\/+$/, '')}/api/admin/v1/revoke`, {
      method: 'POST',
      headers: { authorization: `Token ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ user_id: user, client_id: client, token_id: tokenId, issued_before: issuedBefore }),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    })
  } catch (cause) {
    throw new HeadwaterError(
      'service-unreachable',
      `Cannot revoke: no service answers at ${url}. Name its address with --url.`,
      { cause },
    )
  }
}

function toFields(value: unknown): { readonly [field: string]: unknown } {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
