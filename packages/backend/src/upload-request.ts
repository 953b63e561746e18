import type { JsonObject, JsonValue } from '@headwater/protocol'
import { HeadwaterError } from '@headwater/protocol'

export type WriteKind = 'PUT' | 'PATCH' | 'DELETE'

/** One local write, as the client queued it. */
export type UploadEntry = {
  /** Position in the client's queue; grows with every write that a client ever makes. */
  readonly opId: number
  readonly op: WriteKind
  /** The client's name for the table. */
  readonly type: string
  readonly id: string
  /** PUT: the columns that are not null; PATCH: the changed ones; DELETE: none. */
  readonly data: JsonObject
}

/** What one local transaction wrote. `txId` goes back with its result; order is by `opId`. */
export type UploadTransaction = { readonly txId: number; readonly entries: readonly UploadEntry[] }

export type UploadRequest = { readonly clientId: string; readonly transactions: readonly UploadTransaction[] }

/** Longest name a client may give itself; it is stored once per client. */
const CLIENT_ID_CHARS_MAX = 256
const PROBLEMS_SHOWN_MAX = 10
const WRITE_KINDS: ReadonlySet<string> = new Set(['PUT', 'PATCH', 'DELETE'])

/**
 * Reads the body of an upload:
 * `{client_id, transactions: [{tx_id, crud: [{op_id, op, type, id, data}]}]}`.
 * Throws `bad-request` with every problem found. Numbers that JavaScript cannot hold exactly arrive as their digits.
 */
export function decodeUploadRequest(body: string, entriesMax: number): UploadRequest {
  const problems: string[] = []
  const root = asObject(parseExactly(body), 'the body', problems)
  const clientId = readText(root, 'client_id', '', problems)
  if (clientId.length > CLIENT_ID_CHARS_MAX) {
    problems.push(`client_id: expected at most ${CLIENT_ID_CHARS_MAX} characters, got ${clientId.length}`)
  }
  const transactions = readList(root, 'transactions', '', problems).map((each, index) =>
    decodeTransaction(each, `transactions[${index}]`, problems),
  )
  const count = transactions.reduce((sum, transaction) => sum + transaction.entries.length, 0)
  if (count > entriesMax) {
    throw new HeadwaterError(
      'request-too-large',
      `Cannot apply an upload of ${count} entries: at most ${entriesMax} are taken at once. Send fewer transactions, or raise entriesMax.`,
    )
  }
  refuseDisorder(transactions, problems)
  if (problems.length === 0) return { clientId, transactions }
  const more = problems.length > PROBLEMS_SHOWN_MAX ? ` (and ${problems.length - PROBLEMS_SHOWN_MAX} more)` : ''
  throw new HeadwaterError(
    'bad-request',
    `Cannot read the upload: ${problems.slice(0, PROBLEMS_SHOWN_MAX).join('; ')}${more}`,
  )
}

function decodeTransaction(json: JsonValue, at: string, problems: string[]): UploadTransaction {
  const wire = asObject(json, at, problems)
  const entries = readList(wire, 'crud', at, problems).map((each, index) =>
    decodeEntry(each, `${at}.crud[${index}]`, problems),
  )
  if (entries.length === 0) problems.push(`${at}.crud: expected at least one entry`)
  return { txId: readPosition(wire, 'tx_id', at, problems), entries }
}

function decodeEntry(json: JsonValue, at: string, problems: string[]): UploadEntry {
  const wire = asObject(json, at, problems)
  const data = wire['data'] ?? {}
  return {
    opId: readPosition(wire, 'op_id', at, problems),
    op: readWriteKind(wire, at, problems),
    type: readText(wire, 'type', at, problems),
    id: readText(wire, 'id', at, problems),
    data: asObject(data, `${at}.data`, problems),
  }
}

/** Positions decide what was applied before; out of order they would hide writes. */
function refuseDisorder(transactions: readonly UploadTransaction[], problems: string[]): void {
  let last = -1
  for (const { opId } of transactions.flatMap((transaction) => transaction.entries)) {
    if (opId <= last) {
      problems.push(`op_id ${opId} follows ${last}: expected the entries in the order of the queue`)
      return
    }
    last = opId
  }
}

function readWriteKind(wire: JsonObject, at: string, problems: string[]): WriteKind {
  const op = wire['op']
  if (typeof op === 'string' && WRITE_KINDS.has(op)) return op as WriteKind
  problems.push(`${at}.op: expected PUT, PATCH or DELETE, got ${shorten(op)}`)
  return 'DELETE'
}

function readText(wire: JsonObject, name: string, at: string, problems: string[]): string {
  const value = wire[name]
  if (typeof value === 'string' && value !== '') return value
  problems.push(`${pathOf(at, name)}: expected a text that is not empty, got ${shorten(value)}`)
  return ''
}

function readPosition(wire: JsonObject, name: string, at: string, problems: string[]): number {
  const value = wire[name]
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  problems.push(`${pathOf(at, name)}: expected a whole number from 0, got ${shorten(value)}`)
  return 0
}

function readList(wire: JsonObject, name: string, at: string, problems: string[]): readonly JsonValue[] {
  const value = wire[name]
  if (Array.isArray(value)) return value as readonly JsonValue[]
  problems.push(`${pathOf(at, name)}: expected a list, got ${shorten(value)}`)
  return []
}

function asObject(value: JsonValue | undefined, at: string, problems: string[]): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  problems.push(`${at}: expected an object, got ${shorten(value)}`)
  return {}
}

function pathOf(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`
}

function shorten(value: JsonValue | undefined): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}

function parseExactly(body: string): JsonValue {
  try {
    return JSON.parse(body, keepDigits) as JsonValue
  } catch (cause) {
    throw new HeadwaterError('bad-request', 'Cannot read the upload: the body is not JSON', { cause })
  }
}

function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const isInexact = typeof value === 'number' && !Number.isSafeInteger(value)
  return isInexact && context?.source !== undefined ? context.source : value
}
