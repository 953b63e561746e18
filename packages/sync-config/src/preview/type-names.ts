import type { PostgresType } from '../types.ts'

/** Types that the user describes beside the data, by name. */
export type TypeDescription =
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'domain'; readonly base: string }
  | { readonly kind: 'range'; readonly base: string }
  /** `base` is the type of the bounds, or the range type. */
  | { readonly kind: 'multirange'; readonly base: string }
  | { readonly kind: 'composite'; readonly members: readonly (readonly [string, string])[] }

export type TypeDescriptions = { readonly [name: string]: TypeDescription }

const ALIASES: { readonly [name: string]: string } = {
  bigint: 'int8',
  bigserial: 'int8',
  'bit varying': 'varbit',
  boolean: 'bool',
  char: 'bpchar',
  character: 'bpchar',
  'character varying': 'varchar',
  dec: 'numeric',
  decimal: 'numeric',
  'double precision': 'float8',
  float: 'float8',
  int: 'int4',
  integer: 'int4',
  real: 'float4',
  serial: 'int4',
  serial8: 'int8',
  smallint: 'int2',
  smallserial: 'int2',
  'time with time zone': 'timetz',
  'time without time zone': 'time',
  'timestamp with time zone': 'timestamptz',
  'timestamp without time zone': 'timestamp',
}

/** Ranges of a stock server: name, name of the multirange, type of the bounds. */
const RANGES: readonly (readonly [string, string, string])[] = [
  ['int4range', 'int4multirange', 'int4'],
  ['int8range', 'int8multirange', 'int8'],
  ['numrange', 'nummultirange', 'numeric'],
  ['daterange', 'datemultirange', 'date'],
  ['tsrange', 'tsmultirange', 'timestamp'],
  ['tstzrange', 'tstzmultirange', 'timestamptz'],
]

/** Types inside each other; ends one that holds itself. */
const DEPTH_MAX = 16

/**
 * Reads a type as people write it: `uuid`, `text[]`, `varchar(20)`, `timestamp with time zone`, `mood[]`. A name that
 * is neither known nor described is a type whose text is the value, as for every unknown type. Undefined for a type
 * that holds itself.
 */
export function readTypeName(written: string, described: TypeDescriptions, depth = 0): PostgresType | undefined {
  if (depth > DEPTH_MAX) return undefined
  const read = (name: string): PostgresType | undefined => readTypeName(name, described, depth + 1)
  const text = written.trim()
  const element = elementName(text)
  if (element !== undefined) {
    const type = read(element)
    return type === undefined ? undefined : { kind: 'array', element: type, delimiter: isBox(type) ? ';' : ',' }
  }
  const name = Object.hasOwn(described, text) ? text : canonicalName(text)
  if (Object.hasOwn(described, name)) return readDescribed(name, described[name], read)
  const range = RANGES.find(([rangeName, multirange]) => name === rangeName || name === multirange)
  if (range === undefined) return { kind: 'base', name }
  const rangeType = { kind: 'range', name: range[0], base: { kind: 'base', name: range[2] } } as const
  return name === range[0] ? rangeType : { kind: 'multirange', name, range: rangeType }
}

function readDescribed(
  name: string,
  description: TypeDescription | undefined,
  read: (name: string) => PostgresType | undefined,
): PostgresType | undefined {
  switch (description?.kind) {
    case undefined:
      return undefined
    case 'enum':
      return { kind: 'enum', name }
    case 'domain': {
      const base = read(description.base)
      return base && { kind: 'domain', name, base }
    }
    case 'range': {
      const base = read(description.base)
      return base && { kind: 'range', name, base }
    }
    case 'multirange': {
      const base = read(description.base)
      return base && { kind: 'multirange', name, range: base.kind === 'range' ? base : { kind: 'range', name, base } }
    }
    case 'composite': {
      const members: (readonly [string, PostgresType])[] = []
      for (const [member, type] of description.members) {
        const known = read(type)
        if (known === undefined) return undefined
        members.push([member, known])
      }
      return { kind: 'composite', name, members }
    }
  }
}

/** Postgres has one array type for any number of dimensions. */
function elementName(text: string): string | undefined {
  const brackets = /^(.*?)\s*(?:\[\d*\]\s*)+$/s.exec(text)?.[1]
  if (brackets !== undefined) return brackets
  const word = /^(.*\S)\s+array(?:\s*\[\d*\])?$/is.exec(text)?.[1]
  if (word !== undefined) return word
  return /^_[a-z]/.test(text) ? text.slice(1) : undefined
}

function canonicalName(text: string): string {
  if (text.startsWith('"') && text.endsWith('"') && text.length > 2) return text.slice(1, -1)
  const plain = text
    .toLowerCase()
    .replaceAll(/\([^)]*\)/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replace(/^(pg_catalog|public)\./, '')
  return Object.hasOwn(ALIASES, plain) ? (ALIASES[plain] ?? plain) : plain
}

function isBox(type: PostgresType): boolean {
  return type.kind === 'base' && type.name === 'box'
}
