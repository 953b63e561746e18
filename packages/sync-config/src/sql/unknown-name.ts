import { didYouMean } from '../file/suggest.ts'
import { CAST_TYPES, EXTENSION_FUNCTIONS, SCALAR_FUNCTIONS } from '../functions/signatures.ts'
import { NO_CLOCK, OR_EXTENSIONS } from './refusals.ts'

/** What to say of a call that names no function of sync configs. */
export function describeUnknownFunction(name: string): string {
  if (AGGREGATES.has(name)) return `Aggregates like ${name}() do not exist in sync configs`
  const isExtension = Object.hasOwn(EXTENSION_FUNCTIONS, name)
  const known = Object.hasOwn(FUNCTION_ADVICE, name) ? `: ${FUNCTION_ADVICE[name]}` : undefined
  const advice = isExtension ? `${known ?? ': leave it out'}, ${OR_EXTENSIONS}` : known
  return `Unknown function ${name}()${advice ?? didYouMean(name, Object.keys(SCALAR_FUNCTIONS))}`
}

/** What to say of a cast to a type that sync configs do not have. */
export function describeUnknownType(name: string): string {
  const [base = ''] = name.toLowerCase().split('(')
  const meant = Object.hasOwn(TYPES_MEANT, base)
    ? ` (did you mean "${TYPES_MEANT[base]}"?)`
    : didYouMean(base, CAST_TYPES)
  return `Cannot cast to "${name}"${meant || `: expected ${CAST_TYPES.join(', ')}`}`
}

const AGGREGATES = new Set(['count', 'sum', 'avg', 'min', 'max', 'group_concat', 'string_agg', 'array_agg', 'json_agg'])

const TO_ROWS = 'write json_each(x) in FROM, or value IN x'
const NO_CHANCE = 'what is synced depends on rows and requests, never on chance'

/** Functions that PostgreSQL or SQLite have, and what to write instead. */
const FUNCTION_ADVICE: { readonly [name: string]: string } = {
  coalesce: 'write ifnull(x, y)',
  nullif: 'write iif(x = y, NULL, x)',
  if: 'write iif(condition, x, y)',
  substr: 'write substring(x, start, length)',
  left: 'write substring(x, 1, length)',
  right: 'write substring(x, 0 - length)',
  concat: 'write x || y',
  char_length: 'write length(x)',
  character_length: 'write length(x)',
  octet_length: 'write length(CAST(x AS blob))',
  strpos: 'write instr(x, y)',
  position: 'write instr(x, y)',
  encode: 'write hex(x) or base64(x)',
  to_char: 'write substring(x, start, length)',
  date: 'write datetime(x), or substring(x, 1, 10)',
  time: 'write datetime(x)',
  strftime: 'write datetime(x) or unixepoch(x)',
  to_timestamp: "write datetime(x, 'unixepoch')",
  date_trunc: 'write substring(x, 1, length)',
  date_part: 'write substring(x, start, length)',
  now: NO_CLOCK,
  clock_timestamp: NO_CLOCK,
  random: NO_CHANCE,
  gen_random_uuid: NO_CHANCE,
  array_length: 'write json_array_length(x)',
  cardinality: 'write json_array_length(x)',
  jsonb_array_length: 'write json_array_length(x)',
  json_extract_path_text: "write x -> 'key' ->> 'key'",
  jsonb_extract_path_text: "write x -> 'key' ->> 'key'",
  json_type: "write typeof(x ->> 'key')",
  jsonb_typeof: "write typeof(x ->> 'key')",
  unnest: TO_ROWS,
  json_array_elements: TO_ROWS,
  jsonb_array_elements: TO_ROWS,
  json_array_elements_text: TO_ROWS,
  jsonb_array_elements_text: TO_ROWS,
  jsonb_each: TO_ROWS,
  row: 'compare the columns one by one',
}

/** Names that PostgreSQL and SQLite have for the types of values. */
const TYPES_MEANT: { readonly [type: string]: (typeof CAST_TYPES)[number] } = {
  int: 'integer',
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  smallint: 'integer',
  bigint: 'integer',
  bool: 'integer',
  boolean: 'integer',
  decimal: 'numeric',
  number: 'numeric',
  numeric: 'numeric',
  float: 'real',
  float4: 'real',
  float8: 'real',
  double: 'real',
  'double precision': 'real',
  varchar: 'text',
  'character varying': 'text',
  char: 'text',
  character: 'text',
  string: 'text',
  uuid: 'text',
  json: 'text',
  jsonb: 'text',
  date: 'text',
  timestamp: 'text',
  timestamptz: 'text',
  bytea: 'blob',
}
