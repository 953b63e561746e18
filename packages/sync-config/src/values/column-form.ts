import type { PostgresType, SqliteValue } from '../types.ts'
import { decodeHex } from './hex.ts'
import {
  type ArrayText,
  MalformedText,
  parseArrayText,
  parseCompositeText,
  parseMultirangeText,
  parseRangeText,
  type RangeText,
} from './structured-text.ts'
import { formatDate, formatTime, formatTimestamp, formatTimestamptz, type TimeFormat } from './times.ts'
import { EvaluationError, realToJson } from './value.ts'

/** How values of a config are written; decided by its edition and flags. */
export type ValueOptions = {
  readonly times: TimeFormat
  /** Composites, ranges and arrays of own types become JSON instead of raw text. */
  readonly customTypes: boolean
  /** `->>` and its kin treat JSON null and dotted keys like SQLite. */
  readonly fixedJsonExtract: boolean
  /** Whose rules expressions follow: those that sync configs have always had, or SQLite's. */
  readonly engine: 'default' | 'sqlite'
}

/** What the text of a Postgres column becomes. `convert` is absent where the text is the value; it returns null for NULL. */
export type ColumnForm =
  | { readonly kind: 'integer' }
  | { readonly kind: 'real' }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'blob' }
  | { readonly kind: 'text'; readonly convert: ((text: string) => string | null) | undefined }

const INTEGERS = new Set(['int2', 'int4', 'int8', 'oid'])
const REALS = new Set(['float4', 'float8'])

/** Types of a stock server whose arrays become JSON in every edition. */
const BUILT_IN = new Set(
  (
    'int2 int4 int8 oid float4 float8 numeric bool text varchar bpchar char name uuid bytea json jsonb date time ' +
    'timestamp timestamptz timetz interval money bit varbit xml inet cidr macaddr macaddr8 point line lseg box path ' +
    'polygon circle tsvector tsquery jsonpath xid xid8 cid tid aclitem pg_lsn regclass regtype regproc regprocedure regoper ' +
    'regoperator regrole regnamespace regconfig regdictionary regcollation refcursor txid_snapshot pg_snapshot'
  ).split(' '),
)

/** Levels of arrays and composites inside each other that a value may have. */
const NESTING_MAX = 10

export function columnForm(type: PostgresType, options: ValueOptions): ColumnForm {
  switch (type.kind) {
    case 'domain':
      return columnForm(type.base, options)
    case 'base':
      return baseForm(type.name, options.times)
    case 'enum':
      return PLAIN_TEXT
    case 'array':
      return options.customTypes || isBuiltIn(type.element) ? structuredForm(type, options) : PLAIN_TEXT
    case 'range':
    case 'multirange':
    case 'composite':
      return options.customTypes ? structuredForm(type, options) : PLAIN_TEXT
  }
}

/** Never undefined for text that is there: NULL is null. */
export function readValue(form: ColumnForm, text: string): SqliteValue {
  switch (form.kind) {
    case 'integer':
      return BigInt(text)
    case 'real':
      return Number(text)
    case 'boolean':
      return text === 't' ? 1n : 0n
    case 'blob':
      return decodeBytea(text)
    case 'text':
      return form.convert === undefined ? text : form.convert(text)
  }
}

const PLAIN_TEXT: ColumnForm = { kind: 'text', convert: undefined }

function baseForm(name: string, times: TimeFormat): ColumnForm {
  if (INTEGERS.has(name)) return { kind: 'integer' }
  if (REALS.has(name)) return { kind: 'real' }
  switch (name) {
    case 'bool':
      return { kind: 'boolean' }
    case 'bytea':
      return { kind: 'blob' }
    case 'date':
      return { kind: 'text', convert: formatDate }
    case 'time':
      return times.iso ? { kind: 'text', convert: (text) => formatTime(text, times) } : PLAIN_TEXT
    case 'timestamp':
      return { kind: 'text', convert: (text) => formatTimestamp(text, times) ?? null }
    case 'timestamptz':
      return { kind: 'text', convert: (text) => formatTimestamptz(text, times) ?? null }
    case 'pg_lsn':
      return { kind: 'text', convert: padLsn }
    default:
      return PLAIN_TEXT
  }
}

/** Both halves to eight digits, so that positions sort as text. */
function padLsn(text: string): string {
  return text
    .split('/')
    .map((half) => half.padStart(8, '0'))
    .join('/')
}

function structuredForm(type: PostgresType, options: ValueOptions): ColumnForm {
  const toJson = jsonWriter(type, options)
  const isRange = type.kind === 'range'
  return {
    kind: 'text',
    convert: (text) => {
      if (isRange && text === 'empty') return text
      try {
        return toJson(text, 1)
      } catch (error) {
        if (error instanceof MalformedText) return text
        throw error
      }
    },
  }
}

/** Turns the text of a value inside another into JSON text. `level` counts the structures around it, itself included. */
type JsonWriter = (text: string, level: number) => string

function jsonWriter(type: PostgresType, options: ValueOptions): JsonWriter {
  switch (type.kind) {
    case 'domain':
      return jsonWriter(type.base, options)
    case 'base':
      return baseJsonWriter(type.name, options.times)
    case 'enum':
      return (text) => JSON.stringify(text)
    case 'array':
      return arrayJsonWriter(type, options)
    case 'composite':
      return compositeJsonWriter(type, options)
    case 'range':
      return rangeJsonWriter(type, options)
    case 'multirange':
      return multirangeJsonWriter(type, options)
  }
}

function baseJsonWriter(name: string, times: TimeFormat): JsonWriter {
  if (name === 'json' || name === 'jsonb') return (text) => text
  const form = baseForm(name, times)
  switch (form.kind) {
    case 'integer':
      return integerToJson
    case 'real':
      return realTextToJson
    case 'boolean':
      return booleanToJson
    case 'blob':
      return () => 'null'
    case 'text': {
      const { convert } = form
      return convert === undefined ? (text) => JSON.stringify(text) : (text) => JSON.stringify(convert(text))
    }
  }
}

const INTEGER = /^-?\d+$/

/** What is inside a structure was not read as its type by the server if the type has changed since. */
function integerToJson(text: string): string {
  if (!INTEGER.test(text)) throw new MalformedText('Cannot read a value: expected an integer')
  return text
}

function realTextToJson(text: string): string {
  const value = Number(text)
  if (text === '' || (Number.isNaN(value) && text !== 'NaN'))
    throw new MalformedText('Cannot read a value: expected a number')
  return realToJson(value)
}

function booleanToJson(text: string): string {
  if (text !== 't' && text !== 'f') throw new MalformedText('Cannot read a value: expected t or f')
  return text === 't' ? '1' : '0'
}

function arrayJsonWriter(type: PostgresType & { kind: 'array' }, options: ValueOptions): JsonWriter {
  const toJson = jsonWriter(type.element, options)
  // Without the flag every array is split at commas, boxes too: configs rely on what they get.
  const delimiter = options.customTypes ? type.delimiter : ','
  const write = (elements: ArrayText, level: number): string => {
    assertLevel(level)
    const parts = elements.map((element) => {
      if (element === null) return 'null'
      return typeof element === 'string' ? toJson(element, level + 1) : write(element, level + 1)
    })
    return `[${parts.join(',')}]`
  }
  return (text, level) => write(parseArrayText(text, delimiter), level)
}

function compositeJsonWriter(type: PostgresType & { kind: 'composite' }, options: ValueOptions): JsonWriter {
  const members = type.members.map(([name, member]) => ({
    head: JSON.stringify(name),
    toJson: jsonWriter(member, options),
  }))
  return (text, level) => {
    assertLevel(level)
    if (members.length === 0) return '{}'
    const texts = parseCompositeText(text)
    if (texts.length !== members.length) throw new MalformedText(`Cannot read a value: ${texts.length} members`)
    const parts = members.map(({ head, toJson }, index) => {
      const member = texts[index] ?? null
      return `${head}:${member === null ? 'null' : toJson(member, level + 1)}`
    })
    return `{${parts.join(',')}}`
  }
}

function rangeJsonWriter(type: PostgresType & { kind: 'range' }, options: ValueOptions): JsonWriter {
  const toJson = jsonWriter(type.base, options)
  return (text, level) => rangeToJson(parseRangeText(text), toJson, level)
}

function multirangeJsonWriter(type: PostgresType & { kind: 'multirange' }, options: ValueOptions): JsonWriter {
  const base = type.range.kind === 'range' ? type.range.base : type.range
  const toJson = jsonWriter(base, options)
  return (text, level) => {
    assertLevel(level)
    return `[${parseMultirangeText(text)
      .map((range) => rangeToJson(range, toJson, level + 1))
      .join(',')}]`
  }
}

function rangeToJson(range: RangeText, toJson: JsonWriter, level: number): string {
  assertLevel(level)
  if (range.kind === 'empty') return '"empty"'
  const lower = range.lower === null ? 'null' : toJson(range.lower, level + 1)
  const upper = range.upper === null ? 'null' : toJson(range.upper, level + 1)
  const exclusive = `"lower_exclusive":${Number(range.lowerExclusive)},"upper_exclusive":${Number(range.upperExclusive)}`
  return `{"lower":${lower},"upper":${upper},${exclusive}}`
}

function assertLevel(level: number): void {
  if (level > NESTING_MAX) {
    throw new EvaluationError(`Cannot convert a value: arrays and composites are nested deeper than ${NESTING_MAX}`)
  }
}

function isBuiltIn(type: PostgresType): boolean {
  return type.kind === 'base' && BUILT_IN.has(type.name)
}

/** Reads `\x00ff`, the form that `bytea_output = hex` prints. */
function decodeBytea(text: string): Uint8Array {
  if (!text.startsWith('\\x')) throw new EvaluationError('Cannot read binary data: expected the form \\x00ff')
  return decodeHex(text, 2)
}
