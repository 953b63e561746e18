import { type LoadedPlan, matchesTable } from '@headwater/sync-config'
import { type CatalogTable, readCatalogTables } from '../postgres/catalog.ts'
import type { Session } from '../postgres/connection.ts'
import type { NeededColumns, Relation } from '../postgres/pgoutput.ts'
import { createTypeCatalog } from '../postgres/type-catalog.ts'
import { columnsText, type ReplicatedTable, toCatalogTable, toReplicatedTable } from './replicated-table.ts'

/** The tables that the plan reads, in the shape that the stream has them now. */
export type TableRegistry = {
  readonly find: (relationOid: number) => ReplicatedTable | undefined
  readonly list: () => readonly ReplicatedTable[]
  /** See `Delta.soleSources`. */
  readonly soleSources: () => ReadonlySet<string>
  /** By oid, live: the decoder looks here. */
  readonly needed: NeededColumns
  /** Is this Relation message one that was learnt already? */
  readonly isKnown: (relation: Relation) => boolean
  /** Takes in what a Relation message says; tells what it changed. */
  readonly learn: (session: Session, relation: Relation) => Promise<Learnt>
  /** Looks for tables of the plan in the catalog; tells which are new and which are gone. */
  readonly discover: (session: Session) => Promise<Discovery>
  readonly forget: (relationOid: number) => void
}

export type Learnt =
  | { readonly kind: 'same' }
  | { readonly kind: 'added'; readonly table: ReplicatedTable; readonly rowsEstimated: number }
  /** The plan does not read it any more: it was renamed. */
  | { readonly kind: 'removed' }
  /** Keys of stored rows are not those of new ones. */
  | { readonly kind: 'rekeyed'; readonly table: ReplicatedTable; readonly rowsEstimated: number }
  /** `isStale`: stored rows may not be what they would be if they were read again. */
  | {
      readonly kind: 'reshaped'
      readonly table: ReplicatedTable
      readonly isStale: boolean
      readonly rowsEstimated: number
    }

export type Discovery = {
  readonly catalog: readonly CatalogTable[]
  readonly added: readonly { readonly table: ReplicatedTable; readonly rowsEstimated: number }[]
  /** Oids of tables that were there before and are not any more. */
  readonly gone: readonly number[]
}

export type RegistryOptions = {
  readonly plan: Pick<LoadedPlan, 'forTable' | 'tables'>
  readonly publication: string
  readonly serverVersion: number
}

export function createTableRegistry({ plan, publication, serverVersion }: RegistryOptions): TableRegistry {
  const tables = new Map<number, ReplicatedTable>()
  const needed = new Map<number, readonly boolean[]>()
  const learnt = new Map<number, string>()
  const types = createTypeCatalog()
  let soleSources: ReadonlySet<string> | undefined

  const install = (table: ReplicatedTable): void => {
    tables.set(table.oid, table)
    needed.set(table.oid, table.needed)
    soleSources = undefined
  }
  const forget = (oid: number): void => {
    tables.delete(oid)
    needed.delete(oid)
    soleSources = undefined
  }

  return {
    find: (oid) => tables.get(oid),
    list: () => [...tables.values()],
    soleSources: () => (soleSources ??= findSoleSources([...tables.values()])),
    needed,
    isKnown: (relation) => learnt.get(relation.oid) === relationText(relation),
    forget,
    learn: async (session, relation) => {
      learnt.set(relation.oid, relationText(relation))
      const before = tables.get(relation.oid)
      if (before !== undefined && hasSameShape(before, relation)) return { kind: 'same' }
      if (before === undefined && !plan.tables.some((pattern) => matchesTable(pattern, relation)))
        return { kind: 'same' }
      const { schema, name } = relation
      const pattern = { schema, isSchemaWildcard: false, name, isWildcard: false }
      const catalog = await readCatalogTables(session, [pattern], publication, serverVersion)
      const shape = toCatalogTable(
        relation,
        catalog.find(({ oid }) => oid === relation.oid),
      )
      // A type may have been changed, or dropped and made anew.
      types.clear()
      await types.load(session, typeOids([shape]))
      const table = toReplicatedTable(shape, types, plan)
      const { rowsEstimated } = shape
      if (table === undefined) {
        forget(relation.oid)
        return before === undefined ? { kind: 'same' } : { kind: 'removed' }
      }
      install(table)
      if (before === undefined) return { kind: 'added', table, rowsEstimated }
      if (before.identityText !== table.identityText) return { kind: 'rekeyed', table, rowsEstimated }
      return { kind: 'reshaped', table, isStale: isStale(before, table, shape), rowsEstimated }
    },
    discover: async (session) => {
      const catalog = await readCatalogTables(session, plan.tables, publication, serverVersion)
      const readable = catalog.filter(({ isPublished, kind }) => isPublished && (kind === 'r' || kind === 'p'))
      const fresh = readable.filter(({ oid }) => !tables.has(oid))
      await types.load(session, typeOids(fresh))
      const added = fresh.flatMap((shape) => {
        const table = toReplicatedTable(shape, types, plan)
        return table === undefined ? [] : [{ table, rowsEstimated: shape.rowsEstimated }]
      })
      for (const { table } of added) install(table)
      const present = new Set(catalog.map(({ oid }) => oid))
      return { catalog, added, gone: [...tables.keys()].filter((oid) => !present.has(oid)) }
    },
  }
}

function findSoleSources(tables: readonly ReplicatedTable[]): ReadonlySet<string> {
  const named = Map.groupBy(tables, ({ label }) => label)
  // While a table takes the place of another of its name, rows of both may be stored.
  const sole = tables.filter(({ isSoleSource, label }) => isSoleSource && named.get(label)?.length === 1)
  return new Set(sole.map(({ key }) => key.prefix))
}

function typeOids(tables: readonly CatalogTable[]): readonly number[] {
  return tables.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOid))
}

function relationText(relation: Relation): string {
  return JSON.stringify([relation.schema, relation.name, relation.identity, columnsText(relation.columns)])
}

function hasSameShape(table: ReplicatedTable, relation: Relation): boolean {
  return table.label === `${relation.schema}.${relation.name}` && table.columnsText === columnsText(relation.columns)
}

/**
 * Rows stay as they are when columns were only added that are NULL in all of them. A column that is gone, has another
 * type, or came with a default is in every row.
 */
function isStale(before: ReplicatedTable, after: ReplicatedTable, shape: CatalogTable): boolean {
  const old = new Map(before.source.columns.map(({ name, type }, position) => [name, { type, position }]))
  const isChanged = after.source.columns.some(({ name, type }, position) => {
    if (after.program.needed[position] !== true) return false
    const same = old.get(name)
    if (same === undefined) return shape.columns[position]?.hasMissingDefault !== false
    return JSON.stringify(same.type) !== JSON.stringify(type)
  })
  const names = new Set(after.source.columns.map(({ name }) => name))
  const isDropped = before.source.columns.some(
    ({ name }, position) => before.program.needed[position] === true && !names.has(name),
  )
  return isChanged || isDropped
}
