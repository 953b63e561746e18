import type { Refusal } from '../auth/claims.ts'
import type { WholeAnswer } from './answer.ts'
import { answerCode } from './error-response.ts'
import type { HttpParts } from './http-parts.ts'

/** Tells the sender of a token as much as a stranger may know, and the log the rest. */
export function answerRefusal(parts: HttpParts, refusal: Refusal): WholeAnswer {
  noteRefusal(parts, refusal)
  return answerCode(refusal.code, refusal.message)
}

/** Counts and logs a refused token. */
export function noteRefusal(
  { log, metrics }: Pick<HttpParts, 'log' | 'metrics'>,
  { code, message, details }: Refusal,
): void {
  metrics.add('headwater_tokens_refused_total', 1, { code })
  log.info('token-refused', { code, message, ...details })
}
