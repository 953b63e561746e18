import { HeadwaterError } from '@headwater/protocol'
import { Column, MAX_COLUMNS } from './column.ts'
import type { ColumnsDefinition, ExtractColumnValueType } from './column.ts'
import { Index, parseIndexedColumn } from './table-index.ts'
import type { IndexedColumn } from './table-index.ts'

/** `true` records all columns before a change; the object form only some, or only those that changed. */
export type TrackPreviousOptions = { readonly columns?: readonly string[]; readonly onlyWhenChanged?: boolean }

export type SharedTableOptions = {
  /** Never uploaded, never synced. */
  readonly localOnly?: boolean
  /** Writes are queued for upload and not kept on the device. */
  readonly insertOnly?: boolean
  /** The name queries use, where it differs from the synced one. */
  readonly viewName?: string | undefined
  readonly trackPrevious?: boolean | TrackPreviousOptions
  /** Adds a write-only `_metadata` column whose value goes along with the upload. */
  readonly trackMetadata?: boolean
  /** An UPDATE that changes nothing is not queued. */
  readonly ignoreEmptyUpdates?: boolean
}

export type TableOptions = SharedTableOptions & {
  /** Index name to its columns; a leading `-` means descending. */
  readonly indexes?: { readonly [name: string]: readonly (string | IndexedColumn)[] }
}

export type ResolvedTableOptions = SharedTableOptions & {
  readonly name: string
  readonly columns: readonly Column[]
  readonly indexes?: readonly Index[]
}

/** A table as an app declares it; its name is its key in the `Schema`. */
export class Table<Columns extends ColumnsDefinition = ColumnsDefinition> {
  readonly columnMap: Columns
  readonly options: TableOptions

  constructor(columns: Columns, options: TableOptions = {}) {
    this.columnMap = columns
    this.options = options
  }

  static createLocalOnly<Columns extends ColumnsDefinition>(
    columns: Columns,
    options: TableOptions = {},
  ): Table<Columns> {
    return new Table(columns, { ...options, localOnly: true })
  }

  static createInsertOnly<Columns extends ColumnsDefinition>(
    columns: Columns,
    options: TableOptions = {},
  ): Table<Columns> {
    return new Table(columns, { ...options, insertOnly: true })
  }

  copyWithName(name: string): ResolvedTable {
    const { indexes = {}, ...options } = this.options
    return new ResolvedTable({
      ...options,
      name,
      columns: Object.entries(this.columnMap).map(([name, { type }]) => new Column({ name, type })),
      indexes: Object.entries(indexes).map(
        ([name, columns]) => new Index({ name, columns: columns.map(parseIndexedColumn) }),
      ),
    })
  }
}

/** What a query gives for one row of the table. */
export type RowType<T> =
  T extends Table<infer Columns>
    ? { id: string } & { [Name in keyof Columns]: ExtractColumnValueType<Columns[Name]> }
    : never

/** A table with its name. */
export class ResolvedTable {
  readonly options: ResolvedTableOptions

  constructor(options: ResolvedTableOptions) {
    this.options = options
  }

  get name(): string {
    return this.options.name
  }
  get viewNameOverride(): string | undefined {
    return this.options.viewName
  }
  get viewName(): string {
    return this.options.viewName ?? this.options.name
  }
  /** The table that holds the rows: the one that is queried. */
  get internalName(): string {
    return this.viewName
  }
  get columns(): readonly Column[] {
    return this.options.columns
  }
  get indexes(): readonly Index[] {
    return this.options.indexes ?? []
  }
  get localOnly(): boolean {
    return this.options.localOnly ?? false
  }
  get insertOnly(): boolean {
    return this.options.insertOnly ?? false
  }
  get trackPrevious(): boolean | TrackPreviousOptions {
    return this.options.trackPrevious ?? false
  }
  get trackMetadata(): boolean {
    return this.options.trackMetadata ?? false
  }
  get ignoreEmptyUpdates(): boolean {
    return this.options.ignoreEmptyUpdates ?? false
  }
  get validName(): boolean {
    return !FORBIDDEN_IN_NAMES.test(this.name) && !FORBIDDEN_IN_NAMES.test(this.viewName)
  }

  /** Throws `schema-invalid`, naming the table and the column. */
  validate(): void {
    const where = `table ${JSON.stringify(this.name)}`
    for (const name of [this.name, this.viewName]) {
      if (FORBIDDEN_IN_NAMES.test(name)) throw invalid(`${where}: the name has a character that is not allowed`)
      if (RESERVED_NAME.test(name)) throw invalid(`${where}: names that start with "ps_" or "sqlite_" are taken`)
    }
    if (this.columns.length > MAX_COLUMNS) {
      throw invalid(`${where}: ${this.columns.length} columns, but at most ${MAX_COLUMNS} are allowed`)
    }
    if (this.localOnly && this.trackMetadata)
      throw invalid(`${where}: trackMetadata is of no use on a local-only table`)
    if (this.localOnly && this.trackPrevious !== false) {
      throw invalid(`${where}: trackPrevious is of no use on a local-only table`)
    }
    const columns = this.#validateColumns(where)
    const indexes = new Set<string>()
    for (const { name, columns: indexed } of this.indexes) {
      if (indexes.has(name)) throw invalid(`${where}: two indexes are called ${JSON.stringify(name)}`)
      if (FORBIDDEN_IN_NAMES.test(name)) throw invalid(`${where}: index ${JSON.stringify(name)} has a bad name`)
      indexes.add(name)
      const missing = indexed.find((column) => column.name !== 'id' && !columns.has(column.name))
      if (missing) {
        throw invalid(
          `${where}: index ${JSON.stringify(name)} names column ${JSON.stringify(missing.name)}, which is missing`,
        )
      }
    }
  }

  #validateColumns(where: string): ReadonlySet<string> {
    const seen = new Set<string>()
    const lowerCase = new Set<string>()
    for (const { name } of this.columns) {
      if (lowerCase.has(name.toLowerCase())) throw invalid(`${where}: two columns are called ${JSON.stringify(name)}`)
      if (name.toLowerCase() === 'id') throw invalid(`${where}: the column "id" is there already, do not declare it`)
      if (name === '' || FORBIDDEN_IN_NAMES.test(name)) {
        throw invalid(`${where}: column ${JSON.stringify(name)} has a character that is not allowed`)
      }
      if (this.trackMetadata && METADATA_COLUMNS.has(name.toLowerCase())) {
        throw invalid(`${where}: trackMetadata adds the column ${JSON.stringify(name)} itself`)
      }
      seen.add(name)
      lowerCase.add(name.toLowerCase())
    }
    return seen
  }

  toJSON(): object {
    const { trackPrevious } = this
    return {
      name: this.name,
      view_name: this.viewName,
      local_only: this.localOnly,
      insert_only: this.insertOnly,
      include_old: typeof trackPrevious === 'object' ? (trackPrevious.columns ?? true) : trackPrevious,
      include_old_only_when_changed: typeof trackPrevious === 'object' && trackPrevious.onlyWhenChanged === true,
      include_metadata: this.trackMetadata,
      ignore_empty_update: this.ignoreEmptyUpdates,
      columns: this.columns.map((column) => column.toJSON()),
      indexes: this.indexes.map(({ name, columns }) => ({
        name,
        columns: columns.map((column) => ({
          name: column.name,
          ascending: column.ascending,
          type: this.columns.find(({ name }) => name === column.name)?.type ?? 'TEXT',
        })),
      })),
    }
  }
}

const FORBIDDEN_IN_NAMES = /["'%,.#\s[\]]/
const RESERVED_NAME = /^(ps|sqlite)_/i
const METADATA_COLUMNS: ReadonlySet<string> = new Set(['_metadata', '_deleted'])

function invalid(problem: string): HeadwaterError {
  return new HeadwaterError('schema-invalid', `Cannot use this schema: ${problem}`)
}
