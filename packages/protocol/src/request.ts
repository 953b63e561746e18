import type { OpId } from './op-id.ts'
import type { BucketName } from './operation.ts'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }
export type JsonObject = { readonly [key: string]: JsonValue }

/** JSON of a client or of a token's claims. A bigint is an integer that a number cannot hold exactly. */
export type RequestValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly RequestValue[]
  | { readonly [key: string]: RequestValue }
export type RequestObject = { readonly [key: string]: RequestValue }

/** What a client asks of `POST /sync/stream`. */
export type SyncRequest = {
  /** What the client holds, with the id of the last operation it has of each. */
  readonly buckets: readonly { readonly name: BucketName; readonly after: OpId }[]
  readonly clientId: string | undefined
  /** Connection parameters, chosen by the client and not to be trusted. */
  readonly parameters: RequestObject
  readonly appMetadata: { readonly [key: string]: string }
  /** False: operations carry nested JSON instead of a string (NDJSON only; clients from before 2024). */
  readonly rawData: boolean
  readonly includeDefaults: boolean
  /** It asks for streams by itself, so it knows them, and what is said of them. */
  readonly namesStreams: boolean
  readonly subscriptions: readonly StreamSubscription[]
}

export type StreamSubscription = {
  readonly stream: string
  readonly parameters: RequestObject
  readonly overridePriority: number | undefined
}
