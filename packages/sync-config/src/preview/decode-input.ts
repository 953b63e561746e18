import { HeadwaterError } from '@headwater/protocol'
import { didYouMean } from '../file/suggest.ts'
import type { Request, RequestObject, RequestValue, SourceTable, TextRow } from '../types.ts'
import { jsonToText, toJson } from './json-to-text.ts'
import { readTypeName, type TypeDescription, type TypeDescriptions } from './type-names.ts'

/** Rows of the tables that a preview reads. A row is texts as Postgres prints them, by position, or values by column. */
export type PreviewData = {
  readonly types?: TypeDescriptions
  readonly tables: { readonly [key: string]: PreviewTable }
}

export type PreviewTable = {
  /** `public` where absent. */
  readonly schema?: string
  /** The key where absent. */
  readonly name?: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly (string | null)[] | RequestObject)[]
}

export type PreviewRequest = {
  /** Claims, as in a verified token. */
  readonly jwt: RequestObject
  readonly parameters?: RequestObject
  readonly includeDefaults?: boolean
  readonly subscriptions?: readonly {
    readonly stream: string
    readonly parameters?: RequestObject | null
    readonly priority?: number | null
  }[]
}

export type DecodedTable = { readonly table: SourceTable; readonly rows: readonly TextRow[] }

/** Throws `bad-preview-input` with the place of the first thing that is wrong. */
export function decodePreviewData(data: RequestValue): readonly DecodedTable[] {
  const root = asObject(data, 'the data', ['types', 'tables'])
  const types = decodeTypes(root['types'] ?? {})
  const tables = asObject(root['tables'], '"tables"')
  return Object.entries(tables).map(([key, table]) => decodeTable(key, table, types))
}

/** Throws `bad-preview-input`. */
export function decodePreviewRequest(request: RequestValue): Request {
  const root = asObject(request, 'the request', ['jwt', 'parameters', 'includeDefaults', 'subscriptions'])
  const includeDefaults = root['includeDefaults'] ?? true
  if (typeof includeDefaults !== 'boolean') throw bad('"includeDefaults"', 'true or false', includeDefaults)
  return {
    claims: asObject(root['jwt'], '"jwt"'),
    parameters: asObject(root['parameters'] ?? {}, '"parameters"'),
    includeDefaults,
    subscriptions: asList(root['subscriptions'] ?? [], '"subscriptions"').map((item, index) => {
      const what = `subscription ${index + 1}`
      const subscription = asObject(item, what, ['stream', 'parameters', 'priority'])
      const priority = subscription['priority'] ?? undefined
      if (priority !== undefined && !(typeof priority === 'number' && [0, 1, 2, 3].includes(priority))) {
        throw bad(`"priority" of ${what}`, '0, 1, 2 or 3', priority)
      }
      return {
        stream: asText(subscription['stream'], `"stream" of ${what}`),
        parameters: asObject(subscription['parameters'] ?? {}, `"parameters" of ${what}`),
        overridePriority: priority,
      }
    }),
  }
}

function decodeTypes(types: RequestValue): TypeDescriptions {
  return Object.fromEntries(
    Object.entries(asObject(types, '"types"')).map(([name, type]) => [name, decodeType(type, `type ${quote(name)}`)]),
  )
}

function decodeType(type: RequestValue, what: string): TypeDescription {
  const root = asObject(type, what, ['kind', 'values', 'base', 'members'])
  const kind = root['kind']
  switch (kind) {
    case 'enum':
      return {
        kind,
        values: asList(root['values'] ?? [], `"values" of ${what}`).map((value) => asText(value, `a value of ${what}`)),
      }
    case 'domain':
    case 'range':
    case 'multirange':
      return { kind, base: asText(root['base'], `"base" of ${what}`) }
    case 'composite': {
      const members = asList(root['members'], `"members" of ${what}`).map((member) => {
        const [name, memberType] = asList(member, `a member of ${what}`)
        return [
          asText(name, `the name of a member of ${what}`),
          asText(memberType, `the type of a member of ${what}`),
        ] as const
      })
      return { kind, members }
    }
    default:
      throw bad(`"kind" of ${what}`, 'enum, domain, range, multirange or composite', kind)
  }
}

function decodeTable(key: string, table: RequestValue, types: TypeDescriptions): DecodedTable {
  const what = `table ${quote(key)}`
  const root = asObject(table, what, ['schema', 'name', 'columns', 'rows'])
  const columns = asList(root['columns'], `"columns" of ${what}`).map((item) => {
    const column = asObject(item, `a column of ${what}`, ['name', 'type'])
    const name = asText(column['name'], `the name of a column of ${what}`)
    const written = asText(column['type'] ?? 'text', `the type of column ${quote(name)} of ${what}`)
    const type = readTypeName(written, types)
    if (type === undefined)
      throw bad(`the type of column ${quote(name)} of ${what}`, 'a type that does not hold itself', written)
    return { name, type }
  })
  const names = columns.map(({ name }) => name)
  const source: SourceTable = {
    schema: asText(root['schema'] ?? 'public', `"schema" of ${what}`),
    name: asText(root['name'] ?? key, `"name" of ${what}`),
    columns,
    identity: names.includes('id') ? ['id'] : names,
  }
  const rows = asList(root['rows'], `"rows" of ${what}`).map((row, index) =>
    decodeRow(source, row, `row ${index + 1} of ${what}`),
  )
  return { table: source, rows }
}

function decodeRow({ columns }: SourceTable, row: RequestValue, what: string): TextRow {
  if (!isList(row)) {
    const names = columns.map(({ name }) => name)
    const values = asObject(row, what, names)
    return columns.map(({ name, type }) => jsonToText(Object.hasOwn(values, name) ? values[name] : null, type))
  }
  if (row.length !== columns.length) throw bad(what, `${columns.length} values`, row)
  return row.map((text) => (text === null ? null : asText(text, `a value of ${what}`)))
}

function asObject(value: RequestValue | undefined, what: string, known?: readonly string[]): RequestObject {
  if (typeof value !== 'object' || value === null || isList(value)) throw bad(what, 'a JSON object', value)
  for (const key of Object.keys(value)) {
    if (known !== undefined && !known.includes(key)) {
      throw new HeadwaterError(
        'bad-preview-input',
        `Cannot read ${what}: unknown member ${quote(key)}${didYouMean(key, known)}`,
      )
    }
  }
  return value
}

function asList(value: RequestValue | undefined, what: string): readonly RequestValue[] {
  if (value === undefined || !isList(value)) throw bad(what, 'a JSON array', value)
  return value
}

function asText(value: RequestValue | undefined, what: string): string {
  if (typeof value !== 'string') throw bad(what, 'a text', value)
  return value
}

function isList(value: RequestValue): value is readonly RequestValue[] {
  return Array.isArray(value)
}

function bad(what: string, expected: string, got: RequestValue | undefined): HeadwaterError {
  const shown = got === undefined ? 'nothing' : toJson(got).slice(0, 60)
  return new HeadwaterError('bad-preview-input', `Cannot read ${what}: expected ${expected}, got ${shown}`)
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 60))
}
