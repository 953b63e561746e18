import { HeadwaterError } from '@headwater/protocol'

/** The service, or the app's backend, said no. */
export class RefusedError extends HeadwaterError {
  /** Of the HTTP answer; undefined when it was said within a stream. */
  readonly status: number | undefined
  /** What the other side calls it, as `PSYNC_S2101`. */
  readonly wireCode: string | undefined
  /** How long it asked to be left alone. */
  readonly retryAfterMs: number | undefined

  constructor(code: 'sync-refused' | 'upload-refused', message: string, said: Refusal = {}) {
    super(code, message)
    this.status = said.status
    this.wireCode = said.wireCode
    this.retryAfterMs = said.retryAfterMs
  }
}

export type Refusal = {
  readonly status?: number | undefined
  readonly wireCode?: string | undefined
  readonly retryAfterMs?: number | undefined
}

/** How long whoever threw `error` asked to be left alone. */
export function retryAfterOf(error: unknown): number | undefined {
  return error instanceof RefusedError ? error.retryAfterMs : undefined
}

/** An answer's text may be a page of HTML; the start of it says enough. */
const ERROR_TEXT_CHARACTERS_MAX = 500

/** Reads why `response` is not what was hoped for. `what` begins the message: "Cannot sync: https://… answered". */
export async function readRefusal(
  code: 'sync-refused' | 'upload-refused',
  what: string,
  response: Response,
  nowMs: number,
): Promise<RefusedError> {
  const { status, headers } = response
  // A body that breaks off takes nothing from what the status and the headers have said.
  const text = await response.text().catch(() => '')
  return new RefusedError(code, `${what} ${status} ${text.slice(0, ERROR_TEXT_CHARACTERS_MAX)}`.trimEnd(), {
    status,
    wireCode: readWireCode(text),
    retryAfterMs: readRetryAfter(headers, nowMs),
  })
}

/** `{"error": {"code": …}}`, as services and our backend kit answer. */
function readWireCode(text: string): string | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    const body: unknown = JSON.parse(text)
    const error: unknown = Reflect.get(Object(body), 'error')
    const code: unknown = Reflect.get(Object(error), 'code')
    return typeof code === 'string' ? code : undefined
  } catch {
    return undefined
  }
}

/**
 * `Retry-After` in milliseconds from now: seconds, or a date. A date is compared with the answer's own `Date` where
 * there is one, since the clocks of devices are often wrong. Undefined: nothing was asked for, or nothing readable.
 */
export function readRetryAfter(headers: Headers, nowMs: number): number | undefined {
  const value = headers.get('retry-after')?.trim()
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const atMs = parseHttpDate(value)
  if (atMs === undefined) return undefined
  return Math.max(0, atMs - (parseHttpDate(headers.get('date')) ?? nowMs))
}

/** All three forms that HTTP allows begin with the day of the week; what else `Date` can read is no HTTP date. */
function parseHttpDate(text: string | null): number | undefined {
  if (text === null || !/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined
  const atMs = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(atMs) ? undefined : atMs
}
