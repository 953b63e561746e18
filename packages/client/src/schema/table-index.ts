/** One column of an index; descending where `ascending` is false. */
export class IndexedColumn {
  readonly name: string
  readonly ascending: boolean

  constructor(options: { readonly name: string; readonly ascending?: boolean }) {
    this.name = options.name
    this.ascending = options.ascending ?? true
  }

  static createAscending(name: string): IndexedColumn {
    return new IndexedColumn({ name })
  }

  static createDescending(name: string): IndexedColumn {
    return new IndexedColumn({ name, ascending: false })
  }
}

export class Index {
  readonly name: string
  readonly columns: readonly IndexedColumn[]

  constructor(options: { readonly name: string; readonly columns: readonly IndexedColumn[] }) {
    this.name = options.name
    this.columns = options.columns
  }
}

/** Reads the short form: a column name, with a leading `-` for descending. */
export function parseIndexedColumn(entry: string | IndexedColumn): IndexedColumn {
  if (typeof entry !== 'string') return entry
  return entry.startsWith('-') ? IndexedColumn.createDescending(entry.slice(1)) : IndexedColumn.createAscending(entry)
}
