import type { SqliteConnection, SqliteValue } from './driver.ts'

/** Which tables a statement touches, by the plan that SQLite made for it; triggers and cascades included. */
export type StatementEffects = {
  readonly reads: readonly string[]
  readonly writes: readonly string[]
  readonly changesSchema: boolean
  /** All writes happen in triggers, so SQLite reports no changes of the statement itself. */
  readonly writesInTriggersOnly: boolean
}

/** Distinct statements remembered before all are forgotten: apps that splice values into SQL must not fill the memory. */
const REMEMBERED_MAX = 1000

/** Asks for a plan: reads and writes nothing, and cannot be explained itself. */
const EXPLAINS = /^(?:[\s;]|--[^\n]*\n|\/\*[\s\S]*?\*\/)*explain\b/i

const NO_EFFECTS: StatementEffects = { reads: [], writes: [], changesSchema: false, writesInTriggersOnly: false }

/** Explains each distinct statement once. */
export class EffectsReader {
  #known = new Map<string, StatementEffects>()
  #tables: Promise<TablesByRoot> | undefined

  async read(connection: SqliteConnection, sql: string): Promise<StatementEffects> {
    const known = this.#known.get(sql)
    if (known !== undefined) return known
    if (EXPLAINS.test(sql)) return NO_EFFECTS
    this.#tables ??= readTablesByRoot(connection)
    const tables = await this.#tables
    const { columns, rows } = await connection.run(`EXPLAIN ${sql}`)
    const effects = effectsOf(readOpcodes(columns, rows), tables)
    if (this.#known.size >= REMEMBERED_MAX) this.#known.clear()
    this.#known.set(sql, effects)
    return effects
  }

  /** To be called after the schema changed. */
  forget(): void {
    this.#known = new Map()
    this.#tables = undefined
  }
}

/** Keys are `<database>:<root page>`, database 0 being the file and 1 the temporary one. */
type TablesByRoot = ReadonlyMap<string, string>

type Opcode = {
  readonly address: number
  readonly name: string
  readonly p1: number
  readonly p2: number
  readonly p3: number
}

async function readTablesByRoot(connection: SqliteConnection): Promise<TablesByRoot> {
  const { rows } = await connection.run(
    `SELECT 0, rootpage, tbl_name FROM main.sqlite_schema WHERE rootpage > 0
     UNION ALL
     SELECT 1, rootpage, tbl_name FROM temp.sqlite_schema WHERE rootpage > 0`,
  )
  return new Map(rows.map(([database, root, table]) => [`${Number(database)}:${Number(root)}`, String(table)]))
}

function readOpcodes(columns: readonly string[], rows: readonly (readonly SqliteValue[])[]): Opcode[] {
  const [address, name, p1, p2, p3] = ['addr', 'opcode', 'p1', 'p2', 'p3'].map((column) => columns.indexOf(column))
  return rows.map((row) => ({
    address: Number(row[address ?? 0]),
    name: String(row[name ?? 1]),
    p1: Number(row[p1 ?? 2]),
    p2: Number(row[p2 ?? 3]),
    p3: Number(row[p3 ?? 4]),
  }))
}

const SCHEMA_OPCODES: ReadonlySet<string> = new Set(['ParseSchema', 'DropTable', 'DropIndex', 'DropTrigger'])

function effectsOf(opcodes: readonly Opcode[], tables: TablesByRoot): StatementEffects {
  const reads = new Set<string>()
  const writes = new Set<string>()
  let changesSchema = false
  let writesItself = false
  let lastAddress = -1
  let inMainProgram = true
  for (const { address, name, p1, p2, p3 } of opcodes) {
    // Programs of triggers follow the main one, each counting from 0 again.
    if (address <= lastAddress) inMainProgram = false
    lastAddress = address
    if (name === 'OpenRead') addTable(reads, tables, p3, p2)
    else if (name === 'OpenWrite') addTable(writes, tables, p3, p2)
    else if (name === 'Clear') addTable(writes, tables, p2, p1)
    else if (name === 'Destroy') addTable(writes, tables, p3, p1)
    else if (SCHEMA_OPCODES.has(name)) changesSchema = true
    if (inMainProgram && writes.size > 0) writesItself = true
  }
  return {
    reads: [...reads],
    writes: [...writes],
    changesSchema,
    writesInTriggersOnly: writes.size > 0 && !writesItself,
  }
}

function addTable(into: Set<string>, tables: TablesByRoot, database: number, root: number): void {
  const table = tables.get(`${database}:${root}`)
  // Those are SQLite's own; the counter of AUTOINCREMENT is opened by the main program even if only a trigger needs it.
  if (table !== undefined && !table.startsWith('sqlite_')) into.add(table)
}
