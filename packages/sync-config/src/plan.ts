import { type Branded, HeadwaterError, type JsonObject } from '@headwater/protocol'
import type { Place } from './file/diagnostics.ts'
import type { FunctionName } from './functions/signatures.ts'
import { sha256Hex } from './hash.ts'
import type { LookupId, Plan, TablePattern } from './types.ts'
import type { ValueOptions } from './values/column-form.ts'

/**
 * What a config does, without which query said it: JSON, so that it can be stored, hashed and compared.
 *
 *     row ──▶ evaluators ──▶ (buckets with these keys, object)
 *     row ──▶ lookups ─────▶ (key values → outputs)
 *     request ──▶ streams ──▶ routes: steps read lookups ──▶ values ──▶ buckets
 */
export type PlanBody = {
  readonly values: ValueOptions
  readonly evaluators: readonly PlanEvaluator[]
  readonly lookups: readonly PlanLookup[]
  readonly buckets: readonly PlanBucket[]
  readonly streams: readonly PlanStream[]
  readonly events: readonly PlanEvent[]
  /** Where the file names tables and columns. Says nothing about what the config does, so it is not hashed. */
  readonly references: readonly PlanReference[]
}

/** Turns rows of a table into objects. `keys` are the bucket's parameters. */
export type PlanEvaluator = {
  readonly table: TablePattern
  /**
   * Arguments of `json_each` over the row: filters, keys see one element of each (`element`), and everything is done for
   * every combination of elements; for none where one has none.
   */
  readonly expansions: readonly Expression[]
  /** All must be true. */
  readonly filters: readonly Expression[]
  readonly keys: readonly Expression[]
  readonly columns: readonly PlanColumn[]
  /** Table on the client; null for the name of the table that the row is in. */
  readonly output: string | null
}

export type PlanColumn =
  | {
      readonly kind: 'star'
      /** Older editions leave columns that begin with `_` out, and do not overwrite a value that is already set. */
      readonly style: 'everything' | 'older'
    }
  | { readonly kind: 'column'; readonly name: string; readonly expression: Expression }

/** Turns rows of a table into entries: key values → outputs. An entry without outputs says that there is such a row. */
export type PlanLookup = {
  readonly id: LookupId
  readonly table: TablePattern
  readonly expansions: readonly Expression[]
  readonly filters: readonly Expression[]
  readonly keys: readonly Expression[]
  readonly outputs: readonly Expression[]
  /** An entry may have NULL among its outputs. It is left out otherwise, as an entry with binary data always is. */
  readonly keepsNull: boolean
  /** Streams that read it, for messages. */
  readonly usedBy: readonly string[]
}

export type PlanBucket = {
  /** For people: the stream that comes first in the file. What buckets are called does not depend on it. */
  readonly name: string
  readonly hash: string
  /** Indexes of evaluators, in the order of the file: the later one wins where two make the same object. */
  readonly evaluators: readonly number[]
}

export type PlanStream = {
  readonly name: string
  /**
   * Bucket definitions differ from streams: their parameters may be NULL, which makes a bucket that no row is in; and
   * the request ends when one cannot be evaluated, instead of going on without it.
   */
  readonly kind: 'stream' | 'definition'
  /** Included for every connection that does not refuse defaults. */
  readonly isDefault: boolean
  readonly priority: number
  readonly routes: readonly PlanRoute[]
}

/** One way from a request to buckets: every combination of `values` is a bucket. */
export type PlanRoute = {
  /** Over request data; all must be true. */
  readonly filters: readonly Expression[]
  /** A step uses outputs of earlier ones only. All but `absent` ones must find something, whether or not they feed a value. */
  readonly steps: readonly PlanStep[]
  /** Index. */
  readonly bucket: number
  /** One per key of the bucket. */
  readonly values: readonly PlanValue[]
  /** Instead of the stream's. */
  readonly priority: number | null
}

export type PlanStep =
  | { readonly kind: 'lookup'; readonly lookup: LookupId; readonly inputs: readonly PlanValue[] }
  /**
   * The elements of an array of the request, which filters, keys and outputs see as `element` of expansion 0, beside
   * the request. Only those whose keys equal the inputs count.
   */
  | {
      readonly kind: 'each'
      readonly argument: Expression
      readonly filters: readonly Expression[]
      readonly keys: readonly Expression[]
      readonly inputs: readonly PlanValue[]
      readonly outputs: readonly Expression[]
    }
  /**
   * A way by itself, like that of a route, which must not find something in all of its steps while all of its filters
   * are true. It feeds nothing, and stands behind all steps of other kinds.
   */
  | { readonly kind: 'absent'; readonly filters: readonly Expression[]; readonly steps: readonly PlanStep[] }

export type PlanValue =
  | { readonly kind: 'request'; readonly expression: Expression }
  | { readonly kind: 'output'; readonly step: number; readonly output: number }
  /** One value that all of these have. */
  | { readonly kind: 'all'; readonly values: readonly PlanValue[] }

/** Tells of rows that change; writes no bucket. */
export type PlanEvent = {
  readonly name: string
  readonly table: TablePattern
  /** All must be true. */
  readonly filters: readonly Expression[]
  readonly columns: readonly PlanColumn[]
}

/** In evaluators and lookups it sees one row, in routes the request. */
export type Expression =
  | { readonly kind: 'null' }
  | { readonly kind: 'integer'; readonly digits: string }
  | { readonly kind: 'real'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'column'; readonly name: string }
  /** Of the element that an expansion stands at. */
  | { readonly kind: 'element'; readonly expansion: number; readonly part: 'key' | 'value' }
  /** Of the table that the row is in; the suffix is what a wildcard stands for. */
  | { readonly kind: 'table'; readonly part: 'schema' | 'name' | 'suffix' }
  | {
      readonly kind: 'request'
      readonly source: RequestSource
      /** Members to walk; empty for the whole object as JSON text. */
      readonly path: readonly string[]
      readonly style: RequestStyle
    }
  | { readonly kind: 'compare'; readonly operator: Comparison; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'is-null'; readonly operand: Expression }
  | { readonly kind: 'not'; readonly operand: Expression }
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Expression[] }
  | { readonly kind: 'call'; readonly name: FunctionName; readonly args: readonly Expression[] }
  /** The first branch whose condition is true; nothing behind it is evaluated. */
  | {
      readonly kind: 'case'
      readonly branches: readonly { readonly when: Expression; readonly result: Expression }[]
      readonly otherwise: Expression
    }

/** The expressions directly inside one. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'null':
    case 'integer':
    case 'real':
    case 'text':
    case 'column':
    case 'element':
    case 'table':
    case 'request':
      return []
    case 'compare':
      return [expression.left, expression.right]
    case 'not':
    case 'is-null':
      return [expression.operand]
    case 'and':
    case 'or':
      return expression.operands
    case 'call':
      return expression.args
    case 'case':
      return [...expression.branches.flatMap(({ when, result }) => [when, result]), expression.otherwise]
  }
}

/** `!=` is NULL where a side is NULL, as in older editions; edition 3 says NOT of `=`. */
export type Comparison = '=' | '!=' | '<' | '<='

export type RequestSource = 'claims' | 'connection' | 'subscription'

/**
 * What a member becomes. `extract`: numbers are reals. `extract-null-text`: likewise, and JSON null is the text `null`,
 * as without `fixed_json_extract`. `flat`: integral numbers are integers.
 */
export type RequestStyle = 'extract' | 'extract-null-text' | 'flat'

export type PlanReference = { readonly place: Place; readonly target: ReferenceTarget }

export type ReferenceTarget =
  | { readonly kind: 'table'; readonly table: TablePattern }
  | { readonly kind: 'column'; readonly table: TablePattern; readonly column: string }
  /** A star that has to bring an `id`. */
  | { readonly kind: 'id-of-star'; readonly table: TablePattern }
  /** A common table expression: a table of this name cannot be read beside it. */
  | { readonly kind: 'cte'; readonly name: string }
  /** A column that is compared with a text of the request. */
  | { readonly kind: 'text-comparison'; readonly table: TablePattern; readonly column: string; readonly with: string }
  /** A column that is compared with a number. */
  | { readonly kind: 'number-comparison'; readonly table: TablePattern; readonly column: string; readonly with: string }
  /** Two columns that are compared. */
  | {
      readonly kind: 'column-comparison'
      readonly table: TablePattern
      readonly column: string
      readonly with: { readonly table: TablePattern; readonly column: string }
    }

/** A part of a plan as canonical text: equal parts have equal text. Members keep the order in which they were built. */
export type PartText = Branded<string, 'PartText'>

export function partText(part: JsonObject | readonly JsonObject[]): PartText {
  return JSON.stringify(part) as PartText
}

/** Digits of hashes in names: 40 bits tell the definitions of one name apart. */
const SHORT_HASH_LENGTH = 10
/** Digits of the hash in a lookup's id: 64 bits. */
const LOOKUP_HASH_LENGTH = 16

export function shortHash(text: string): string {
  return sha256Hex(text).slice(0, SHORT_HASH_LENGTH)
}

export function toLookupId(text: PartText): LookupId {
  return sha256Hex(text).slice(0, LOOKUP_HASH_LENGTH) as LookupId
}

export function makePlan(body: PlanBody): Plan {
  const tables = new Map<string, TablePattern>()
  for (const { table } of [...body.evaluators, ...body.lookups, ...body.events]) tables.set(partText(table), table)
  return { version: 1, hash: hashBody(body), tables: [...tables.values()], body }
}

/** Takes a stored plan apart again. Throws `bad-plan` when it was made by another version, or changed since. */
export function readPlanBody(plan: Plan): PlanBody {
  const body = plan.body as unknown as PlanBody
  if (plan.version !== 1 || hashBody(body) !== plan.hash) {
    throw new HeadwaterError(
      'bad-plan',
      `Cannot load the compiled sync config: expected version 1 with the hash of its content, got version ${plan.version}`,
    )
  }
  return body
}

function hashBody(body: PlanBody): string {
  const { references: _, ...content } = body
  return sha256Hex(JSON.stringify(content))
}
