import {
  type EventProgram,
  isCheckpointEvent,
  type LoadedPlan,
  type PostgresType,
  type SourceTable,
  type TableProgram,
} from '@headwater/sync-config'
import { type CatalogTable, toSourceTable } from '../postgres/catalog.ts'
import type { Relation, ReplicaIdentity } from '../postgres/pgoutput.ts'
import type { TypeCatalog } from '../postgres/type-catalog.ts'
import { type KeyShape, rowKeyPrefix } from './row-key.ts'

/** A table that the plan reads, in the shape that rows of the stream have now. */
export type ReplicatedTable = {
  readonly oid: number
  /** `schema.name`. */
  readonly label: string
  readonly source: SourceTable
  readonly program: TableProgram
  /** Which read a write checkpoint of the app's backend from a row. */
  readonly checkpoints: readonly EventProgram[]
  /** By position: what to decode; the program's columns and the key's. */
  readonly needed: readonly boolean[]
  readonly key: KeyShape
  /** Is each object of its rows of one row alone, whose key is the id, and the same wherever it is? */
  readonly isSoleSource: boolean
  readonly toast: ToastRule
  /** SQL condition that the publication puts on rows; a copy must do the same. */
  readonly rowFilter: string | undefined
  /** Equal as long as stored rows can be found by the keys of new ones. */
  readonly identityText: string
  /** Equal as long as rows have the same columns. */
  readonly columnsText: string
}

/** Which values may the stream leave out later? */
export type ToastRule = {
  /** Needed columns that may be stored out of line. */
  readonly columns: readonly { readonly position: number; readonly name: string }[]
  /** Rows of fewer bytes of text keep all their values in line. */
  readonly rowBytesMin: number
}

/**
 * Text may be this many times shorter than what Postgres stores: an element of an int8 array takes 8 bytes and two
 * characters, one of an array of rows more. Types whose text is what is stored count once.
 */
const STORED_BYTES_PER_CHARACTER = 16
const STORED_AS_TEXT = new Set(['text', 'varchar', 'bpchar', 'char', 'name', 'json', 'xml', 'bytea', 'citext'])

/** Header and padding that a column may add to a row. */
const COLUMN_OVERHEAD_BYTES = 24

/** Specialises the plan to a table. Undefined when the plan does not read it, or nothing could be told of its rows. */
export function toReplicatedTable(
  table: CatalogTable,
  types: TypeCatalog,
  plan: Pick<LoadedPlan, 'forTable'>,
): ReplicatedTable | undefined {
  if (table.columns.length === 0) return undefined
  const source = toSourceTable(table, types)
  const program = plan.forTable(source)
  if (program === undefined) return undefined
  const key = chooseKey(table)
  const needed = table.columns.map((_, position) => program.needed[position] === true)
  for (const position of key.positions) needed[position] = true
  return {
    oid: table.oid,
    label: `${table.schema}.${table.name}`,
    source,
    program,
    checkpoints: program.events.filter(({ event }) => isCheckpointEvent(event)),
    needed,
    key,
    isSoleSource: !key.isWholeRow && key.positions.length === 1 && key.positions[0] === program.ownId,
    toast: chooseToastRule(table, source, program.needed),
    rowFilter: table.rowFilter,
    identityText: JSON.stringify([
      table.schema,
      table.name,
      key.isWholeRow,
      key.positions.map((position) => [table.columns[position]?.name, table.columns[position]?.typeOid]),
    ]),
    columnsText: columnsText(table.columns),
  }
}

/**
 * The shape that a Relation message announces. What the catalog knows beyond it (storage, primary key) is taken from
 * `known` where that is the same table with such a column; the catalog shows the present, the message the past.
 */
export function toCatalogTable(relation: Relation, known: CatalogTable | undefined): CatalogTable {
  const columns = relation.columns.map((column) => {
    const same = known?.columns.find(({ name, typeOid }) => name === column.name && typeOid === column.typeOid)
    return {
      name: column.name,
      typeOid: column.typeOid,
      typeModifier: column.typeModifier,
      isKey: column.isKey,
      isToastable: same?.isToastable ?? true,
      hasMissingDefault: same?.hasMissingDefault ?? true,
    }
  })
  const names = new Set(columns.map(({ name }) => name))
  const primaryKey = known?.primaryKey ?? []
  return {
    oid: relation.oid,
    schema: relation.schema,
    name: relation.name,
    kind: known?.kind ?? 'r',
    persistence: known?.persistence ?? 'permanent',
    isPartition: known?.isPartition ?? false,
    identity: relation.identity,
    columns,
    primaryKey: primaryKey.every((name) => names.has(name)) ? primaryKey : [],
    isHiddenByRowSecurity: known?.isHiddenByRowSecurity ?? false,
    maySelect: known?.maySelect ?? true,
    mayUseSchema: known?.mayUseSchema ?? true,
    isOwner: known?.isOwner ?? false,
    isPublished: true,
    rowFilter: known?.rowFilter,
    rowsEstimated: known?.rowsEstimated ?? 0,
    toastTupleTarget: known?.toastTupleTarget ?? 0,
  }
}

type ShapedColumn = {
  readonly name: string
  readonly typeOid: number
  readonly typeModifier: number
  readonly isKey: boolean
}

/** One text for the columns of a table and its replica identity; compared, never read. */
export function columnsText(columns: readonly ShapedColumn[]): string {
  return JSON.stringify(columns.map((column) => [column.name, column.typeOid, column.typeModifier, column.isKey]))
}

/**
 * The primary key where the log always carries it, else the identity's columns, else the whole row: under FULL without
 * a key, and where only inserts can come. Two rows that are equal in every column are then one to us.
 */
function chooseKey(table: CatalogTable): KeyShape {
  const prefix = rowKeyPrefix(table.oid)
  const names = keyNames(table.identity, table)
  const positions = table.columns.flatMap((column, position) => (names.has(column.name) ? [position] : []))
  if (positions.length > 0) return { prefix, positions, isWholeRow: false }
  return { prefix, positions: table.columns.map((_, position) => position), isWholeRow: true }
}

function keyNames(identity: ReplicaIdentity, table: CatalogTable): ReadonlySet<string> {
  if (identity === 'full' || identity === 'nothing') return new Set(table.primaryKey)
  return new Set(table.columns.filter((column) => column.isKey).map((column) => column.name))
}

function chooseToastRule(table: CatalogTable, source: SourceTable, needed: readonly boolean[]): ToastRule {
  const columns = table.columns.flatMap((column, position) =>
    column.isToastable && needed[position] === true ? [{ position, name: column.name }] : [],
  )
  const isStoredAsText = table.columns.every(
    (column, position) => !column.isToastable || isTextual(source.columns[position]?.type),
  )
  const overhead = COLUMN_OVERHEAD_BYTES * table.columns.length
  const target = Math.max(0, table.toastTupleTarget - overhead)
  return { columns, rowBytesMin: isStoredAsText ? target : Math.floor(target / STORED_BYTES_PER_CHARACTER) }
}

function isTextual(type: PostgresType | undefined): boolean {
  if (type === undefined) return false
  if (type.kind === 'domain') return isTextual(type.base)
  return type.kind === 'base' && STORED_AS_TEXT.has(type.name)
}
