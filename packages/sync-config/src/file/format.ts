/**
 * The keys of a sync config and what may stand under them. `checkFormat` holds a file to this, and the JSON schema for
 * editors is made of it, so the two cannot disagree.
 */
export type Edition = 1 | 2 | 3

/** What may stand at one place of the file. */
export type Format =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'choice'; readonly choices: readonly (string | number)[] }
  | { readonly kind: 'query' }
  | { readonly kind: 'queries' }
  | { readonly kind: 'query-or-queries' }
  | KeysFormat
  /** Names that the author chooses, each of a thing that is called `noun`. */
  | { readonly kind: 'names'; readonly noun: string; readonly entry: KeysFormat | { readonly kind: 'query' } }

/** A map whose keys mean something. */
export type KeysFormat = {
  readonly kind: 'keys'
  readonly keys: { readonly [key: string]: KeyFormat }
  /** What becomes of a key that is not listed. */
  readonly others: 'refused' | 'ignored'
  readonly atLeastOne?: readonly string[]
  readonly exactlyOne?: readonly string[]
}

export type KeyFormat = {
  readonly format: Format
  /** One sentence, for people who write the file. */
  readonly description: string
  readonly isRequired?: true
  readonly default?: string | number | boolean
  /** On by itself from this edition on. */
  readonly onFrom?: Edition
  /** Editions that have the key, and what to do in the others. */
  readonly only?: { readonly editions: readonly Edition[]; readonly advice: string }
  /** What must be so where the key is there and not false. */
  readonly needs?: { readonly flag: string; readonly editions: readonly Edition[] }
}

export const EDITIONS: readonly Edition[] = [1, 2, 3]
export const PRIORITY_DEFAULT = 3
export const STORAGE_VERSION_DEFAULT = 2

/** Words for how fine times are, coarsest first, with the digits behind the second. Postgres has six. */
export const FRACTION_DIGITS: { readonly [word: string]: number } = {
  seconds: 0,
  milliseconds: 3,
  microseconds: 6,
  nanoseconds: 6,
}

const ADD_EDITION = 'write "config:" with "edition: 3" below it at the top of the file'

const PRIORITY: KeyFormat = {
  format: { kind: 'choice', choices: [0, 1, 2, 3] },
  description: 'How urgent the rows are, from 0 (first) to 3 (last).',
  default: PRIORITY_DEFAULT,
}

const ACCEPT_DANGEROUS: KeyFormat = {
  format: { kind: 'boolean' },
  description: 'Do not warn where clients choose by their parameters alone what they get.',
  default: false,
}

const CONFIG: KeysFormat = {
  kind: 'keys',
  others: 'refused',
  keys: {
    edition: {
      format: { kind: 'choice', choices: EDITIONS },
      description: 'Which rules the file follows. New files say 3.',
      default: 1,
    },
    timestamps_iso8601: {
      format: { kind: 'boolean' },
      description: 'Write times as 2024-03-01T10:00:00.000000Z. On from edition 2.',
      onFrom: 2,
    },
    versioned_bucket_ids: {
      format: { kind: 'boolean' },
      description: 'Accepted, without effect: buckets whose definition changes always get new ids. On from edition 2.',
      onFrom: 2,
    },
    fixed_json_extract: {
      format: { kind: 'boolean' },
      description: 'In ->, ->> and JSON paths, a dot is part of a name and JSON null is NULL. On from edition 2.',
      onFrom: 2,
    },
    custom_postgres_types: {
      format: { kind: 'boolean' },
      description: 'Write composites, ranges and arrays of your own types as JSON. On from edition 2.',
      onFrom: 2,
    },
    unstable_sqlite_expression_engine: {
      format: { kind: 'boolean' },
      description: 'Evaluate expressions by the rules of SQLite. Needs edition 3 and fixed_json_extract.',
      default: false,
      needs: { flag: 'fixed_json_extract', editions: [3] },
    },
    timestamp_max_precision: {
      format: { kind: 'choice', choices: Object.keys(FRACTION_DIGITS) },
      description: 'Cut the digits of times behind the second. Needs timestamps_iso8601.',
      needs: { flag: 'timestamps_iso8601', editions: EDITIONS },
    },
    extensions: {
      format: { kind: 'boolean' },
      description: 'Allow what sync configs have nowhere else: LIKE, NOT IN (SELECT …), LEFT JOIN, and more functions.',
      default: false,
      only: { editions: [3], advice: ADD_EDITION },
    },
    storage_version: {
      format: { kind: 'choice', choices: [2, 3] },
      description: 'Accepted, without effect.',
      default: STORAGE_VERSION_DEFAULT,
    },
  },
}

const STREAM: KeysFormat = {
  kind: 'keys',
  others: 'refused',
  exactlyOne: ['query', 'queries'],
  keys: {
    query: { format: { kind: 'query' }, description: 'The rows of the stream: SELECT … FROM … WHERE …' },
    queries: {
      format: { kind: 'queries' },
      description: 'Several queries; the stream has the rows of all of them.',
      only: { editions: [3], advice: `${ADD_EDITION}, or write "query"` },
    },
    with: {
      format: { kind: 'names', noun: 'common table expression', entry: { kind: 'query' } },
      description: 'Queries by name, which the queries of this stream can use like tables.',
      only: { editions: [3], advice: ADD_EDITION },
    },
    auto_subscribe: {
      format: { kind: 'boolean' },
      description: 'Every client gets the stream without asking for it.',
      default: false,
    },
    priority: PRIORITY,
    accept_potentially_dangerous_queries: ACCEPT_DANGEROUS,
  },
}

const BUCKET_DEFINITION: KeysFormat = {
  kind: 'keys',
  others: 'refused',
  keys: {
    data: {
      format: { kind: 'queries' },
      description: 'The rows of each bucket, which compare columns with the parameters: column = bucket.name',
      isRequired: true,
    },
    parameters: {
      format: { kind: 'query-or-queries' },
      description: 'Which buckets a client gets: each row of the result is one. Without it, one bucket for everybody.',
    },
    priority: PRIORITY,
    accept_potentially_dangerous_queries: ACCEPT_DANGEROUS,
  },
}

/** Other keys were never refused here, so files may have them. */
const EVENT: KeysFormat = {
  kind: 'keys',
  others: 'ignored',
  keys: {
    payloads: {
      format: { kind: 'queries' },
      description: 'What the event says of a changed row; one query a table.',
      isRequired: true,
    },
  },
}

/** The whole file. */
export const FILE_FORMAT = {
  kind: 'keys',
  others: 'refused',
  atLeastOne: ['streams', 'bucket_definitions'],
  keys: {
    config: { format: CONFIG, description: 'Which rules the file follows.' },
    streams: {
      format: { kind: 'names', noun: 'stream', entry: STREAM },
      description: 'What clients can subscribe to, by name.',
      only: { editions: [2, 3], advice: ADD_EDITION },
    },
    with: {
      format: { kind: 'names', noun: 'common table expression', entry: { kind: 'query' } },
      description: 'Queries by name, which the queries of all streams can use like tables.',
      only: { editions: [3], advice: ADD_EDITION },
    },
    bucket_definitions: {
      format: { kind: 'names', noun: 'bucket definition', entry: BUCKET_DEFINITION },
      description: 'The older form of streams.',
      only: { editions: [1, 2], advice: 'write them as "streams"' },
    },
    event_definitions: {
      format: { kind: 'names', noun: 'event', entry: EVENT },
      description:
        'Payloads about changed rows, by name. `write_checkpoints` (or `checkpoint_requests`) makes rows the write checkpoints of clients; others are checked and say nothing.',
    },
  },
} as const satisfies KeysFormat

/** Is the flag on in a file of this edition that does not name it? */
export function isOnByItself(flag: string, edition: Edition): boolean {
  const { onFrom } = (CONFIG.keys[flag] ?? {}) as Partial<KeyFormat>
  return onFrom !== undefined && edition >= onFrom
}
