import { HeadwaterError } from '@headwater/protocol'
import type { PoolClient } from 'pg'
import { Pool } from 'pg'

import type { RefusalScope, TransactionResult } from './apply-transaction.ts'
import { applyTransaction } from './apply-transaction.ts'
import type { WritableTable } from './catalog.ts'
import { readWritableTables } from './catalog.ts'
import { classifyFault } from './database-fault.ts'
import type { AllowedOrigins } from './response.ts'
import { answerError, answerPreflight, errorResponse, jsonResponse, readBody, withCors } from './response.ts'
import type { VerifyRequest } from './token.ts'
import { ensureUploadLog } from './upload-log.ts'
import type { UploadRequest } from './upload-request.ts'
import { decodeUploadRequest } from './upload-request.ts'
import type { TableRule, Uploader } from './write-rules.ts'

export type UploadHandlerOptions = {
  /** A pool of yours, or the url of the database. */
  readonly database: Pool | string
  /** Who sends the request. `createTokenVerifier` makes one. */
  readonly verify: VerifyRequest
  /** By the client's name of the table. What is not here cannot be written. */
  readonly tables: Readonly<Record<string, TableRule>>
  /** Default `per-entry`. */
  readonly scope?: RefusalScope
  /** Default `'*'`. */
  readonly allowOrigins?: AllowedOrigins
  /** Default 16 MiB. */
  readonly bodyBytesMax?: number
  /** Default 20,000. */
  readonly entriesMax?: number
  /** Hears of every error that an operator should see. Default `console.error`. */
  readonly log?: (error: unknown) => void
}

/** A function from request to response, for any framework. `close` ends the pool if the handler made it. */
export type UploadHandler = ((request: Request) => Promise<Response>) & { readonly close: () => Promise<void> }

const BODY_BYTES_MAX = 16 * 1024 * 1024
const ENTRIES_MAX = 20_000
const CONNECT_WITHIN_MS = 5_000

/**
 * Applies what clients wrote to Postgres: each of their transactions in one transaction, each exactly once, however
 * often it is sent. An entry that a rule or the database refuses is answered with the reason and does not hold up
 * the others.
 *
 *     → {"client_id", "transactions": [{"tx_id", "crud": [{"op_id", "op", "type", "id", "data"}]}]}
 *     ← {"results": [{"tx_id", "status": "applied" | "replayed" | "rejected",
 *                     "entries"?: [{"op_id", "code", "message"}]}]}
 *
 * `rejected` means that at least one entry was refused; `entries` lists those. Faults that pass are answered with 503:
 * the client sends the same request again.
 */
export function createUploadHandler(options: UploadHandlerOptions): UploadHandler {
  const origins = options.allowOrigins ?? '*'
  const log = options.log ?? console.error
  const pool = typeof options.database === 'string' ? createPool(options.database, log) : options.database
  const target = { options, pool, tables: new TableCache(pool, options.tables) }

  const handle = async (request: Request): Promise<Response> => {
    const preflight = answerPreflight(request, origins)
    if (preflight !== undefined) return preflight
    try {
      return withCors(await answerUpload(target, request), request, origins)
    } catch (error) {
      return withCors(answerError(error, log), request, origins)
    }
  }
  return Object.assign(handle, { close: async () => (pool === options.database ? undefined : pool.end()) })
}

type UploadTarget = { readonly options: UploadHandlerOptions; readonly pool: Pool; readonly tables: TableCache }

async function answerUpload(target: UploadTarget, request: Request): Promise<Response> {
  const { options } = target
  if (request.method !== 'POST') {
    return errorResponse('bad-request', `Cannot ${request.method} uploads: send them with POST`)
  }
  const uploader = await options.verify(request)
  const body = await readBody(request, options.bodyBytesMax ?? BODY_BYTES_MAX)
  const upload = decodeUploadRequest(body, options.entriesMax ?? ENTRIES_MAX)
  try {
    const results = await applyUpload(target, uploader, upload)
    return jsonResponse(200, { results: results.map(encodeResult) })
  } catch (error) {
    throw toAnswerable(error, target.tables)
  }
}

/** Transactions one after the other, as the client made them. When one fails, those before it stay applied. */
async function applyUpload(
  { options, pool, tables }: UploadTarget,
  uploader: Uploader,
  upload: UploadRequest,
): Promise<readonly TransactionResult[]> {
  const known = await tables.read()
  const client = await pool.connect()
  client.on('error', ignoreBroken)
  let fault = true
  try {
    const key = { userId: uploader.userId, clientId: upload.clientId }
    const firstOpId = upload.transactions[0]?.entries[0]?.opId ?? 0
    const parts = { client, tables: known, uploader, key, firstOpId, scope: options.scope ?? 'per-entry' }
    const results: TransactionResult[] = []
    for (const transaction of upload.transactions) results.push(await applyTransaction(parts, transaction))
    fault = false
    return results
  } finally {
    release(client, fault)
  }
}

/** A connection on which something went wrong is not used again. */
function release(client: PoolClient, fault: boolean): void {
  client.off('error', ignoreBroken)
  client.release(fault)
}

/** The pool listens to idle connections only. What broke one in use also fails its statement, and is answered there. */
function ignoreBroken(): void {}

function encodeResult({ txId, outcome, rejections }: TransactionResult): unknown {
  if (rejections.length === 0) return { tx_id: txId, status: outcome }
  const entries = rejections.map(({ opId, code, message }) => ({ op_id: opId, code, message }))
  return { tx_id: txId, status: 'rejected', entries }
}

function toAnswerable(error: unknown, tables: TableCache): unknown {
  if (error instanceof HeadwaterError) return error
  const { kind } = classifyFault(error)
  if (kind === 'changed-schema') tables.forget()
  if (kind !== 'passing' && kind !== 'changed-schema') return error
  return new HeadwaterError(
    'upload-postponed',
    'Cannot apply the upload now: the database did not take it. Nothing is lost; send it again.',
    { cause: error },
  )
}

/** Tables as Postgres describes them, read at the first upload and again when they turn out to have changed. */
class TableCache {
  readonly #pool: Pool
  readonly #rules: Readonly<Record<string, TableRule>>
  #reading: Promise<ReadonlyMap<string, WritableTable>> | undefined

  constructor(pool: Pool, rules: Readonly<Record<string, TableRule>>) {
    this.#pool = pool
    this.#rules = rules
  }

  async read(): Promise<ReadonlyMap<string, WritableTable>> {
    const reading = (this.#reading ??= this.#load())
    try {
      return await reading
    } catch (error) {
      this.forget()
      throw error
    }
  }

  forget(): void {
    this.#reading = undefined
  }

  async #load(): Promise<ReadonlyMap<string, WritableTable>> {
    await ensureUploadLog(this.#pool)
    return readWritableTables(this.#pool, this.#rules)
  }
}

function createPool(url: string, log: (error: unknown) => void): Pool {
  const pool = new Pool({ connectionString: url, connectionTimeoutMillis: CONNECT_WITHIN_MS })
  // A connection that breaks while idle; the pool replaces it.
  pool.on('error', log)
  return pool
}
