import type { ErrorCode } from '@headwater/protocol'
import { ERROR_TABLE, HeadwaterError } from '@headwater/protocol'

/** Origins whose pages may call, or `'*'` for all: calls are authorised by a token that no browser sends by itself. */
export type AllowedOrigins = '*' | readonly string[]

export function jsonResponse(status: number, body: unknown): Response {
  return Response.json(body, { status, headers: { 'cache-control': 'no-store' } })
}

/** `{"error": {"code", "status", "message"}}`. What may pass by itself says when to come again. */
export function errorResponse(code: ErrorCode, message: string): Response {
  const { status } = ERROR_TABLE[code]
  const response = jsonResponse(status, { error: { code, status, message } })
  if (status === 503) response.headers.set('retry-after', '1')
  return response
}

/** The one place where an error becomes an answer. Anything that is not for the client is told to the log only. */
export function answerError(error: unknown, log: (error: unknown) => void): Response {
  if (error instanceof HeadwaterError && ERROR_TABLE[error.code].status < 500) {
    return errorResponse(error.code, error.message)
  }
  log(error)
  if (error instanceof HeadwaterError) return errorResponse(error.code, error.message)
  const message = 'Cannot handle the request: an unexpected error, described in the log of the backend'
  return jsonResponse(500, { error: { code: 'unexpected', status: 500, message } })
}

/** Answers a browser's question whether it may call; undefined when `request` is no such question. */
export function answerPreflight(request: Request, origins: AllowedOrigins): Response | undefined {
  if (request.method !== 'OPTIONS') return undefined
  return withCors(new Response(null, { status: 204 }), request, origins)
}

export function withCors(response: Response, request: Request, origins: AllowedOrigins): Response {
  const origin = request.headers.get('origin')
  if (origin === null) return response
  response.headers.append('vary', 'origin')
  if (origins !== '*' && !origins.includes(origin)) return response
  response.headers.set('access-control-allow-origin', origins === '*' ? '*' : origin)
  response.headers.set('access-control-allow-headers', 'authorization, content-type')
  response.headers.set('access-control-allow-methods', 'GET, POST, OPTIONS')
  response.headers.set('access-control-max-age', '3600')
  response.headers.set('access-control-expose-headers', 'retry-after')
  return response
}

/** The body as text; throws `request-too-large` as soon as it is. */
export async function readBody(request: Request, bytesMax: number): Promise<string> {
  const tooLarge = () =>
    new HeadwaterError(
      'request-too-large',
      `Cannot take the upload: its body is larger than ${bytesMax} bytes. Send fewer transactions, or raise bodyBytesMax.`,
    )
  if (Number(request.headers.get('content-length') ?? 0) > bytesMax) throw tooLarge()
  if (request.body === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of request.body) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) throw tooLarge()
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
