import type { ErrorCode } from '@headwater/protocol'
import type { SqliteValue, StatementResult } from '../sqlite/driver.ts'

/**
 * What a page and the worker that has its database open say to each other.
 *
 *     page                                worker
 *       ── open ─────────────────────────▶  waits for the owner lock, opens the file
 *       ◀───────────────── opened | failed
 *       ── run | run-batch | exec ───────▶  in the order they were posted
 *       ◀─────────────────── done | failed
 *       ── close ────────────────────────▶  rolls back, closes the file, releases handles and lock, ends
 *       ◀────────────────────────── closed
 *
 * Each request is answered once, under its number. Rows travel as arrays of values; 64-bit integers as bigint.
 */
export type Request =
  | { readonly kind: 'open'; readonly number: number; readonly options: OpenOptions }
  | { readonly kind: 'run'; readonly number: number; readonly sql: string; readonly parameters: readonly SqliteValue[] }
  | {
      readonly kind: 'run-batch'
      readonly number: number
      readonly sql: string
      readonly sets: readonly (readonly SqliteValue[])[]
    }
  | { readonly kind: 'exec'; readonly number: number; readonly script: string }
  | { readonly kind: 'close'; readonly number: number }

export type OpenOptions = {
  readonly dbFilename: string
  /** A Web Lock that the worker holds as long as it lives, so that the page notices its death. */
  readonly lifeLock: string
  readonly cacheSizeKb: number
}

export type Answer =
  | { readonly kind: 'opened'; readonly number: number; readonly storage: StorageInUse }
  | {
      readonly kind: 'done'
      readonly number: number
      readonly result: StatementResult
      readonly inTransaction: boolean
    }
  | { readonly kind: 'closed'; readonly number: number }
  | {
      readonly kind: 'failed'
      readonly number: number
      readonly failure: Failure
      readonly inTransaction: boolean
      /** The worker cannot go on and has ended itself. */
      readonly isFatal: boolean
    }

/** Where the rows of an open database are kept. `memory` loses them when the page goes away. */
export type StorageInUse = { readonly kind: 'opfs' } | { readonly kind: 'memory'; readonly reason: string }

/** An error as plain values, since classes do not survive the way between threads. */
export type Failure =
  | { readonly kind: 'sqlite'; readonly message: string; readonly resultCode: number }
  | { readonly kind: 'headwater'; readonly message: string; readonly code: ErrorCode }
  | { readonly kind: 'other'; readonly name: string; readonly message: string; readonly stack: string | undefined }
