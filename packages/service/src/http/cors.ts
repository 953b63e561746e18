import type { IncomingHttpHeaders } from 'node:http'
import { answerEmpty, answerText, type WholeAnswer } from './answer.ts'

/** On every response. Tokens travel in a header that scripts set themselves, never in cookies, so any origin may ask. */
export const CORS_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'Content-Type, Retry-After',
} as const

/** What a browser asks before it sends JSON with an `Authorization` header. The same for every path. */
export function answerPreflight(headers: IncomingHttpHeaders): WholeAnswer {
  if (headers.origin === undefined || headers['access-control-request-method'] === undefined) {
    return answerText(400, 'Invalid Preflight Request', 'text/plain; charset=utf-8')
  }
  return answerEmpty(204, {
    'Access-Control-Allow-Methods': 'GET,HEAD,POST',
    'Access-Control-Allow-Headers': 'Content-Type, Authorization, User-Agent, X-User-Agent',
    'Access-Control-Max-Age': '3600',
  })
}
