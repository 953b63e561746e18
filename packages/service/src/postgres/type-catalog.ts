import type { PostgresType } from '@headwater/sync-config'
import type { Session } from './connection.ts'

/** What a row of pg_type says, as far as it matters. */
type TypeRow = {
  readonly oid: number
  readonly name: string
  readonly typtype: string
  readonly elementOid: number
  /** True when the type is a true array, whose text is `{…}`. */
  readonly isArray: boolean
  readonly delimiter: string
  readonly baseOid: number
  readonly rangeOid: number
  readonly subtypeOid: number
  readonly members: readonly (readonly [string, number])[]
}

/** Types by oid; looks up what it has not seen, and what those types are made of. */
export type TypeCatalog = {
  /** Asks Postgres for the unknown ones among `oids`. A type that is gone counts as plain text. */
  readonly load: (session: Session, oids: readonly number[]) => Promise<void>
  readonly find: (oid: number) => PostgresType
  /** Forgets everything: a type may have been dropped and made anew under the same oid, or changed. */
  readonly clear: () => void
}

/** Types of types; deeper ones are read as text. Postgres itself has no cycles but for its own catalog. */
const DEPTH_MAX = 16

const READ_TYPES = `
  SELECT t.oid::text AS oid,
         t.typname AS name,
         t.typtype::text AS typtype,
         t.typelem::text AS element,
         (t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc)::text AS is_array,
         coalesce(e.typdelim, ',')::text AS delimiter,
         t.typbasetype::text AS base,
         coalesce(r.rngtypid, 0)::text AS range,
         coalesce(r.rngsubtype, 0)::text AS subtype,
         coalesce((
           SELECT json_agg(json_build_array(a.attname, a.atttypid::text) ORDER BY a.attnum)
           FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
         ), '[]')::text AS members
  FROM pg_catalog.pg_type t
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
  LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid OR r.rngmultitypid = t.oid
  WHERE t.oid = ANY ($1::oid[])`

const TEXT: PostgresType = { kind: 'base', name: 'text' }

export function createTypeCatalog(): TypeCatalog {
  const rows = new Map<number, TypeRow | undefined>()
  const built = new Map<number, PostgresType>()

  const build = (oid: number, depth: number): PostgresType => {
    const row = rows.get(oid)
    if (row === undefined || depth > DEPTH_MAX) return TEXT
    const inner = (innerOid: number): PostgresType => build(innerOid, depth + 1)
    if (row.isArray) return { kind: 'array', element: inner(row.elementOid), delimiter: row.delimiter }
    switch (row.typtype) {
      case 'e':
        return { kind: 'enum', name: row.name }
      case 'd':
        return { kind: 'domain', name: row.name, base: inner(row.baseOid) }
      case 'r':
        return { kind: 'range', name: row.name, base: inner(row.subtypeOid) }
      case 'm':
        return { kind: 'multirange', name: row.name, range: inner(row.rangeOid) }
      case 'c':
        return {
          kind: 'composite',
          name: row.name,
          members: row.members.map(([name, member]) => [name, inner(member)]),
        }
      default:
        return { kind: 'base', name: row.name }
    }
  }

  return {
    load: async (session, oids) => {
      let missing = [...new Set(oids)].filter((oid) => !rows.has(oid))
      while (missing.length > 0) {
        for (const oid of missing) rows.set(oid, undefined)
        const found = (await session.query(READ_TYPES, [`{${missing.join(',')}}`])).map(readTypeRow)
        for (const row of found) rows.set(row.oid, row)
        const parts = found.flatMap(partsOf)
        missing = [...new Set(parts)].filter((oid) => oid !== 0 && !rows.has(oid))
      }
    },
    find: (oid) => {
      const known = built.get(oid)
      if (known !== undefined) return known
      const type = build(oid, 0)
      built.set(oid, type)
      return type
    },
    clear: () => {
      rows.clear()
      built.clear()
    },
  }
}

function partsOf(row: TypeRow): readonly number[] {
  const own = row.isArray ? [row.elementOid] : []
  const range = row.typtype === 'm' ? [row.rangeOid] : row.typtype === 'r' ? [row.subtypeOid] : []
  return [...own, ...range, row.baseOid, ...row.members.map(([, oid]) => oid)]
}

function readTypeRow(row: { readonly [column: string]: string | null }): TypeRow {
  const members = JSON.parse(row.members ?? '[]') as readonly (readonly [string, string])[]
  return {
    oid: Number(row.oid),
    name: row.name ?? '',
    typtype: row.typtype ?? 'b',
    elementOid: Number(row.element),
    isArray: row.is_array === 'true',
    delimiter: row.delimiter ?? ',',
    baseOid: Number(row.base),
    rangeOid: Number(row.range),
    subtypeOid: Number(row.subtype),
    members: members.map(([name, oid]) => [name, Number(oid)]),
  }
}
