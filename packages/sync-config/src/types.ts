import type {
  BucketName,
  BucketReason,
  Branded,
  JsonObject,
  RequestObject,
  RequestValue,
  StreamEntry,
  StreamSubscription,
} from '@headwater/protocol'

export type { RequestObject, RequestValue }

/** NULL, integer (bigint, exact), real (number), text, blob. There is no boolean: true is 1n. */
export type SqliteValue = null | bigint | number | string | Uint8Array

/** A row as Postgres prints it, by column position: text, null for NULL, undefined where the stream carried no value. */
export type TextRow = readonly (string | null | undefined)[]

/** What a Postgres type is, as far as turning its text into values needs. Names are `pg_type.typname`. */
export type PostgresType =
  | { readonly kind: 'base'; readonly name: string }
  | { readonly kind: 'array'; readonly element: PostgresType; readonly delimiter: string }
  | { readonly kind: 'enum'; readonly name: string }
  | { readonly kind: 'domain'; readonly name: string; readonly base: PostgresType }
  | { readonly kind: 'range'; readonly name: string; readonly base: PostgresType }
  | { readonly kind: 'multirange'; readonly name: string; readonly range: PostgresType }
  | {
      readonly kind: 'composite'
      readonly name: string
      readonly members: readonly (readonly [string, PostgresType])[]
    }

export type SourceColumn = { readonly name: string; readonly type: PostgresType }

export type SourceTable = {
  readonly schema: string
  readonly name: string
  /** In the order of the positions of a `TextRow`. */
  readonly columns: readonly SourceColumn[]
  /** Names of the columns of the replica identity; every column for FULL, none for NOTHING. */
  readonly identity: readonly string[]
}

export type Diagnostic = {
  readonly severity: 'error' | 'warning'
  readonly message: string
  /** Both from 1; where in the file. */
  readonly line: number
  readonly column: number
  /** The line of the file and a caret under the place; two lines of text. */
  readonly excerpt: string
}

export type CompileResult =
  | { readonly kind: 'compiled'; readonly plan: Plan; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: 'refused'; readonly diagnostics: readonly Diagnostic[] }

/** Names one lookup (parameter index) of a plan by the hash of what it does: equal in two configs when it does the same. */
export type LookupId = Branded<string, 'LookupId'>

/** Lookup and key values in one text, canonical: equal keys have equal text. */
export type LookupKey = Branded<string, 'LookupKey'>

/** Output values of one lookup entry as the text of a JSON array; `[]` for a bare existence. */
export type LookupOutputs = Branded<string, 'LookupOutputs'>

/**
 * A compiled config: plain JSON, comparable by definition. Its inner shape is this package's own
 * (`plan.ts`); others store it, compare `hash`, and load it.
 */
export type Plan = {
  readonly version: 1
  /** Of everything that decides results; equal for configs that do the same. */
  readonly hash: string
  readonly tables: readonly TablePattern[]
  readonly body: JsonObject
}

/**
 * Tables the config reads. Where `isWildcard`, `name` ends in `%` and stands for every table whose name begins with what
 * is before it; likewise `schema` where `isSchemaWildcard`, which never stands for the schemas of Postgres itself.
 */
export type TablePattern = {
  readonly schema: string
  readonly isSchemaWildcard: boolean
  readonly name: string
  readonly isWildcard: boolean
}

/** One object that a row puts into one bucket. */
export type EvaluatedObject = {
  readonly bucket: BucketName
  /** Table on the client. */
  readonly type: string
  readonly id: string
  /** Text of a JSON object. */
  readonly data: string
}

export type EvaluatedLookup = { readonly key: LookupKey; readonly outputs: LookupOutputs }

export type RowOutcome = {
  readonly objects: readonly EvaluatedObject[]
  readonly lookups: readonly EvaluatedLookup[]
  /** One a failed definition: the row is then in none of its buckets. */
  readonly errors: readonly { readonly definition: string; readonly message: string }[]
}

/**
 * What an event is told of a row: the payload as the text of a JSON object, nothing where the row does not pass, or why
 * it cannot be said.
 */
export type EventOutcome =
  | { readonly kind: 'payload'; readonly data: string }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'error'; readonly message: string }

/** One query of an event. */
export type EventProgram = {
  readonly event: string
  readonly evaluate: (row: TextRow) => EventOutcome
}

/** A plan specialised to one table: each query compiled to a function once. */
export type TableProgram = {
  /** By column position: does any query read it? Others need not be decoded and may be undefined. */
  readonly needed: readonly boolean[]
  readonly evaluate: (row: TextRow) => RowOutcome
  /** What to tell of each changed row; it says nothing about buckets. */
  readonly events: readonly EventProgram[]
  /**
   * Position of the column whose text is the id of every object of the table's rows, where nothing else makes objects of
   * these types and all that one row makes of a type have the same data; undefined where that is not certain. If the
   * column is unique, an object is of one row, and the same wherever it is.
   */
  readonly ownId: number | undefined
}

export type Request = {
  /** Claims of the verified token. */
  readonly claims: RequestObject
  readonly parameters: RequestObject
  readonly includeDefaults: boolean
  readonly subscriptions: readonly StreamSubscription[]
  /**
   * The client looks at the errors of streams: one that exceeds a limit is left out, and others are granted. Else the
   * request fails, since the client would not learn that it misses something.
   */
  readonly readsStreamErrors?: boolean
}

export type GrantedBucket = {
  readonly bucket: BucketName
  readonly priority: number
  readonly reasons: readonly BucketReason[]
}

export type Resolution = {
  readonly buckets: readonly GrantedBucket[]
  /** With their figures. */
  readonly streams: readonly StreamEntry[]
  /** Buckets that the client may have. */
  readonly bucketsMax: number
  /** Every key that was read; the resolution can change only when one of these does. */
  readonly lookupKeys: readonly LookupKey[]
  /** Streams that were left out because of a limit, in words for a log. */
  readonly exceeded: readonly string[]
}

/** Reads the entries stored under each key, in the order of `keys`; all calls of one resolution see one checkpoint. */
export type ReadLookups = (keys: readonly LookupKey[]) => Promise<readonly (readonly LookupOutputs[])[]>

/**
 * Long work asks between two steps whether others are to run first. One for each piece of work; parts of it that run side
 * by side share it.
 */
export type Turn = {
  /** Work of no more than a turn is done at once. */
  readonly isOver: boolean
  /** Likewise, after one of very many steps of about a microsecond: the clock is looked at every so many only. */
  readonly isOverAfterStep: () => boolean
  /** Waits for the next turn. */
  readonly next: () => Promise<void>
}

/** A plan ready to run. */
export type LoadedPlan = {
  readonly hash: string
  readonly tables: readonly TablePattern[]
  /** Undefined when no query reads the table. `generation` goes into every bucket name. */
  readonly forTable: (table: SourceTable) => TableProgram | undefined
  /** Throws `too-many-buckets` above `limits`. Without a turn it lets nobody else run, unless reading does. */
  readonly resolve: (request: Request, readLookups: ReadLookups, turn?: Turn) => Promise<Resolution>
}

export type LoadOptions = {
  /** Number of this rebuild of the storage: names of buckets that were built anew must differ. */
  readonly generation: number
  /** Instead of `generation` where single bucket definitions were built anew: that of the one with this hash. */
  readonly generationOf?: (bucketHash: string) => number
  /** Buckets that one client may have. */
  readonly bucketsMax: number
  /** What lookups and arrays may give one stream on the way to them; four times as many when absent. */
  readonly resultsMax?: number | undefined
  /** Characters of the data of one object; a row with more is in no bucket of that definition. Absent: any number. */
  readonly rowCharactersMax?: number | undefined
}
