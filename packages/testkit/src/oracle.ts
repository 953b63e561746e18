import { Client } from 'pg'

/**
 * Which rows of one table a user's device should hold. The SQL is written by hand beside the sync config that it
 * checks, never derived from the compiler: two ways to the same answer. The first column is `id`, and each value is
 * what a device shows: booleans as 0 and 1, times as text, everything else as Postgres has it.
 */
export type OracleQuery = {
  readonly table: string
  readonly columns: readonly string[]
  /** Names of what `$1`, `$2` … stand for; `readRows` is given the values. */
  readonly parameters: readonly string[]
  readonly sql: string
}

export type OracleValue = string | number | bigint | null
export type OracleRow = readonly OracleValue[]

/** Rows of a table by id. */
export type TableRows = ReadonlyMap<string, OracleRow>

export type Difference =
  | { readonly kind: 'missing'; readonly table: string; readonly id: string; readonly expected: OracleRow }
  | { readonly kind: 'extra'; readonly table: string; readonly id: string; readonly actual: OracleRow }
  | {
      readonly kind: 'different'
      readonly table: string
      readonly id: string
      readonly expected: OracleRow
      readonly actual: OracleRow
    }

export type Oracle = AsyncDisposable & {
  /** All tables as of one moment. Values are by parameter name: the user, what was subscribed to. */
  readonly readRows: (values: Readonly<Record<string, string>>) => Promise<ReadonlyMap<string, TableRows>>
}

const INT8_OID = 20

export async function openOracle(url: string, queries: readonly OracleQuery[]): Promise<Oracle> {
  const client = new Client({ connectionString: url, types: { getTypeParser } })
  await client.connect()
  await client.query(`SET TimeZone = 'UTC'; SET extra_float_digits = 1; SET bytea_output = hex`)
  return {
    readRows: async (given) => {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      try {
        const tables = new Map<string, TableRows>()
        for (const { table, columns, parameters, sql } of queries) {
          const values = parameters.map((name) => given[name])
          const { rows, fields } = await client.query<OracleValue[]>({ text: sql, values, rowMode: 'array' })
          const names = fields.map(({ name }) => name)
          if (names.join() !== columns.join()) throw new Error(`The oracle of ${table} gives ${names.join()}`)
          tables.set(table, indexRows(table, rows))
        }
        return tables
      } finally {
        await client.query('COMMIT')
      }
    },
    [Symbol.asyncDispose]: () => client.end(),
  }
}

/** Throws when an id comes twice: on a device it could not. */
export function indexRows(table: string, rows: readonly OracleRow[]): TableRows {
  const byId = new Map<string, OracleRow>()
  for (const row of rows) {
    const id = String(row[0])
    if (byId.has(id)) throw new Error(`Table ${table} has two rows with the id ${id}`)
    byId.set(id, row)
  }
  return byId
}

/** Row by row and value by value; 1 and '1' are different, and so are 1 and 1n. */
export function compareRows(table: string, expected: TableRows, actual: TableRows): readonly Difference[] {
  const differences: Difference[] = []
  for (const [id, row] of expected) {
    const other = actual.get(id)
    if (other === undefined) differences.push({ kind: 'missing', table, id, expected: row })
    else if (row.length !== other.length || row.some((value, index) => !Object.is(value, other[index]))) {
      differences.push({ kind: 'different', table, id, expected: row, actual: other })
    }
  }
  for (const [id, row] of actual) {
    if (!expected.has(id)) differences.push({ kind: 'extra', table, id, actual: row })
  }
  return differences
}

export function formatDifference(difference: Difference): string {
  const { kind, table, id } = difference
  const shown = (row: OracleRow): string => row.map((value) => shorten(formatValue(value))).join(' | ')
  switch (kind) {
    case 'missing':
      return `${table} ${id} is missing; Postgres has ${shown(difference.expected)}`
    case 'extra':
      return `${table} ${id} should not be there: ${shown(difference.actual)}`
    case 'different':
      return `${table} ${id} differs:\n    Postgres ${shown(difference.expected)}\n    device   ${shown(difference.actual)}`
  }
}

function formatValue(value: OracleValue): string {
  return typeof value === 'bigint' ? `${value}n` : JSON.stringify(value)
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 50)}… (${text.length})`
}

/** Integers that a double cannot hold stay exact, as on a device; what has no parser here is its text. */
function getTypeParser(oid: number): (text: string) => OracleValue {
  switch (oid) {
    case INT8_OID:
      return (text) => {
        const value = BigInt(text)
        return Number.isSafeInteger(Number(value)) ? Number(value) : value
      }
    case 21:
    case 23:
    case 700:
    case 701:
      return Number
    default:
      return String
  }
}
