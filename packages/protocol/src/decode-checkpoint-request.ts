import { checkClientId } from './client-id.ts'
import { HeadwaterError } from './errors.ts'
import type { RequestObject, RequestValue } from './request.ts'

/** What a client asks of `POST /sync/checkpoint-request`. */
export type CheckpointRequest = {
  readonly clientId: string
  /** Chosen by the client: 1 … 2^63 - 1. */
  readonly number: bigint
}

const NUMBER_MAX = 9_223_372_036_854_775_807n

/** Reads the fields of a checkpoint request; unknown ones are ignored. Throws `bad-request` with every problem found. */
export function decodeCheckpointRequest(fields: RequestObject): CheckpointRequest {
  const problems: string[] = []
  const clientId = fields['client_id']
  if (typeof clientId === 'string') checkClientId(clientId, problems)
  else problems.push('client_id: expected text')
  const number = readNumber(fields['checkpoint_request_id'])
  if (number === undefined || number < 1n || number > NUMBER_MAX) {
    problems.push(`checkpoint_request_id: expected a whole number from 1 to ${NUMBER_MAX}, as text or as a number`)
  }
  if (problems.length > 0 || typeof clientId !== 'string' || number === undefined) {
    throw new HeadwaterError('bad-request', `Cannot read the checkpoint request: ${problems.join('; ')}`)
  }
  return { clientId, number }
}

function readNumber(value: RequestValue | undefined): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  return typeof value === 'string' && /^\d{1,19}$/.test(value) ? BigInt(value) : undefined
}
