import { HeadwaterError } from '@headwater/protocol'
import type { UploadSource } from '../connector.ts'
import { readRefusal } from '../sync/refused-error.ts'
import type { RefusedError } from '../sync/refused-error.ts'
import type { CrudEntryJson, CrudTransaction } from './crud.ts'

/** A local transaction that the backend refused, with the reason for each bad entry. It is off the queue. */
export type RejectedTransaction = {
  readonly transaction: CrudTransaction
  readonly entries: readonly { readonly opId: number; readonly code: string; readonly message: string }[]
}

export type UploaderOptions = {
  /** Where the upload handler of the app's backend is mounted. */
  readonly url: string
  /** Headers for each request, for example a token. */
  readonly headers?: () => Promise<Record<string, string>> | Record<string, string>
  /** Short for an `authorization: Bearer …` header. */
  readonly fetchToken?: () => Promise<string> | string
  /** Told once for each refused transaction. The service's rows then replace the local ones. */
  readonly onRejected?: (rejected: RejectedTransaction) => void
  readonly fetch?: typeof fetch
  /** How long a request may take, with its token and its answer. Default two minutes; then it is sent again, which does no harm. */
  readonly timeoutMs?: number
  /** Entries sent in one request, unless one transaction has more. */
  readonly entriesMax?: number
}

/** Enough to hide the round trip. */
const ENTRIES_MAX = 1000

/** Of the body; more than one transaction goes along only up to here. Below what most backends and proxies take. */
const CHARACTERS_MAX = 1024 * 1024

/** A megabyte over a slow line, and a busy backend. */
const TIMEOUT_MS = 120_000

const PAYLOAD_TOO_LARGE = 413

type UploadResult = {
  readonly tx_id: number
  readonly status: 'applied' | 'replayed' | 'rejected'
  readonly entries?: readonly { readonly op_id: number; readonly code: string; readonly message: string }[]
}

/**
 * Makes the `uploadData` of a connector for a backend built with `@headwater/backend`. Refused transactions leave the
 * queue as applied ones do, so that one bad write never blocks those behind it.
 */
export function createUploader(options: UploaderOptions): (database: UploadSource) => Promise<void> {
  const send = options.fetch ?? ((...args) => fetch(...args))
  const post = async (body: string): Promise<Answer> => {
    const timeout = new AbortController()
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const error = lateAnswer(options)
      timeout.abort(error)
      late.reject(error)
    }, options.timeoutMs ?? TIMEOUT_MS)
    const exchange = async (): Promise<Answer> => {
      const headers = { 'content-type': 'application/json', ...(await readHeaders(options)) }
      const response = await send(options.url, { method: 'POST', headers, body, signal: timeout.signal })
      return response.ok
        ? { kind: 'results', body: await response.json() }
        : { kind: 'refused', refusal: await readRefusalOf(options, response) }
    }
    try {
      return await Promise.race([exchange(), late.promise])
    } finally {
      clearTimeout(timer)
    }
  }
  return async (database) => {
    const clientId = await database.getClientId()
    const encode = (batch: readonly Encoded[]): string =>
      `{"client_id":${JSON.stringify(clientId)},"transactions":[${batch.map(({ json }) => json).join()}]}`
    let batch = await readTransactions(database, options.entriesMax ?? ENTRIES_MAX)
    if (batch.length === 0) return
    let answer = await post(encode(batch))
    // Some proxies take less than we think; one transaction is the least there is.
    while (answer.kind === 'refused' && answer.refusal.status === PAYLOAD_TOO_LARGE && batch.length > 1) {
      batch = batch.slice(0, batch.length >> 1)
      answer = await post(encode(batch))
    }
    if (answer.kind === 'refused') throw answer.refusal
    const transactions = batch.map(({ transaction }) => transaction)
    await settle(transactions, readResults(options.url, answer.body), options)
  }
}

type Answer =
  | { readonly kind: 'results'; readonly body: unknown }
  | { readonly kind: 'refused'; readonly refusal: RefusedError }

function readRefusalOf({ url }: UploaderOptions, response: Response): Promise<RefusedError> {
  return readRefusal('upload-refused', `Cannot upload to ${url}: the backend answered`, response, Date.now())
}

function lateAnswer({ url, timeoutMs = TIMEOUT_MS }: UploaderOptions): HeadwaterError {
  return new HeadwaterError('upload-refused', `Cannot upload to ${url}: no answer within ${timeoutMs / 1000} seconds`)
}

type Encoded = { readonly transaction: CrudTransaction; readonly json: string }

async function readTransactions(database: UploadSource, entriesMax: number): Promise<Encoded[]> {
  const batch: Encoded[] = []
  let entries = 0
  let characters = 0
  for await (const transaction of database.getCrudTransactions()) {
    const json = JSON.stringify(encodeTransaction(transaction))
    entries += transaction.crud.length
    characters += json.length
    if (batch.length > 0 && (entries > entriesMax || characters > CHARACTERS_MAX)) break
    batch.push({ transaction, json })
  }
  return batch
}

async function readHeaders(options: UploaderOptions): Promise<Record<string, string>> {
  const headers = (await options.headers?.()) ?? {}
  if (options.fetchToken === undefined) return headers
  return { ...headers, authorization: `Bearer ${await options.fetchToken()}` }
}

/** An entry that was queued outside of any transaction stands alone; its position is as good a number as any. */
function numberOf({ transactionId, crud }: CrudTransaction): number {
  return transactionId ?? crud[0]?.clientId ?? 0
}

function encodeTransaction(transaction: CrudTransaction): { tx_id: number; crud: CrudEntryJson[] } {
  return { tx_id: numberOf(transaction), crud: transaction.crud.map((entry) => entry.toJSON()) }
}

/** Takes off the queue everything up to the first transaction without a result; the rest is sent again. */
async function settle(
  transactions: readonly CrudTransaction[],
  results: ReadonlyMap<number, UploadResult>,
  options: UploaderOptions,
): Promise<void> {
  let settled: CrudTransaction | undefined
  const rejected: RejectedTransaction[] = []
  for (const transaction of transactions) {
    const result = results.get(numberOf(transaction))
    if (result === undefined) break
    settled = transaction
    if (result.status !== 'rejected') continue
    const entries = (result.entries ?? []).map(({ op_id, code, message }) => ({ opId: op_id, code, message }))
    rejected.push({ transaction, entries })
  }
  if (settled === undefined) {
    throw new HeadwaterError(
      'upload-refused',
      `Cannot upload to ${options.url}: the answer has no result for transaction ${transactions[0] && numberOf(transactions[0])}`,
    )
  }
  await settled.complete()
  for (const each of rejected) options.onRejected?.(each)
}

const STATUSES: ReadonlySet<unknown> = new Set(['applied', 'replayed', 'rejected'])

function readResults(url: string, body: unknown): ReadonlyMap<number, UploadResult> {
  const results = typeof body === 'object' && body !== null && 'results' in body ? body.results : undefined
  if (!Array.isArray(results) || !results.every(isResult)) {
    throw new HeadwaterError('upload-refused', `Cannot upload to ${url}: the answer is not {"results": [...]}`)
  }
  return new Map(results.map((result) => [result.tx_id, result]))
}

function isResult(value: unknown): value is UploadResult {
  return (
    typeof value === 'object' &&
    value !== null &&
    'tx_id' in value &&
    typeof value.tx_id === 'number' &&
    'status' in value &&
    STATUSES.has(value.status)
  )
}
