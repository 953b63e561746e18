import { HeadwaterError } from '@headwater/protocol'
import type { ResolvedTable } from './table.ts'
import type { RowType, Table } from './table.ts'

export type TablesDefinition = { readonly [name: string]: Table }

export type SchemaTypes<Tables extends TablesDefinition> = { [Name in keyof Tables]: RowType<Tables[Name]> }

/** All tables of an app. `typeof schema['types']` has the row types; it holds nothing at run time. */
export class Schema<Tables extends TablesDefinition = TablesDefinition> {
  declare readonly types: SchemaTypes<Tables>
  readonly props: Tables | undefined
  readonly tables: readonly ResolvedTable[]

  /** Throws `schema-invalid`. */
  constructor(tables: Tables | readonly ResolvedTable[]) {
    if (isList(tables)) {
      this.tables = tables
      this.props = undefined
    } else {
      this.tables = Object.entries(tables).map(([name, table]) => table.copyWithName(name))
      this.props = tables
    }
    this.validate()
  }

  validate(): void {
    const names = new Set<string>()
    const viewNames = new Set<string>()
    for (const table of this.tables) {
      table.validate()
      if (names.has(table.name) || viewNames.has(table.viewName.toLowerCase())) {
        throw new HeadwaterError(
          'schema-invalid',
          `Cannot use this schema: two tables are called ${JSON.stringify(table.viewName)}`,
        )
      }
      names.add(table.name)
      viewNames.add(table.viewName.toLowerCase())
    }
  }

  toJSON(): object {
    return { tables: this.tables.map((table) => table.toJSON()), raw_tables: [] }
  }
}

function isList(tables: TablesDefinition | readonly ResolvedTable[]): tables is readonly ResolvedTable[] {
  return Array.isArray(tables)
}
