import type { Expression, PlanColumn } from '../plan.ts'
import type { SqliteValue, TextRow } from '../types.ts'
import { type ColumnForm, readValue } from '../values/column-form.ts'
import { EvaluationError, realToJson, valueToJson, valueToText } from '../values/value.ts'
import { compileExpression } from './expression.ts'
import type { RowColumn, RowColumns } from './row-columns.ts'
import type { QueryScope } from './row-scope.ts'

/** What a SELECT list makes of a row. */
export type Written = {
  readonly id: string
  /** Text of a JSON object. */
  readonly data: string
}

export type Payload = {
  readonly write: (row: TextRow) => Written
  /** What id and data are written from: the table's own columns, and computed ones. */
  readonly sources: readonly Source[]
}

export type Source =
  | { readonly kind: 'column'; readonly column: RowColumn }
  | { readonly kind: 'expression'; readonly expression: Expression }

/** One member of the JSON object. Of several sources the first that is not NULL is written. */
type Member = { readonly name: string; readonly sources: readonly Source[] }

/** Makes the writer of a SELECT list for one table. Columns that the table does not have are left out. */
export function compilePayload(list: readonly PlanColumn[], scope: QueryScope): Payload {
  const members = resolveMembers(list, scope.table.columns)
  const id = members.find(({ name }) => name === 'id')
  const readId = id === undefined ? () => '' : compileId(id, scope)
  const writeData = compileData(members, scope)
  const { rowCharactersMax } = scope.table
  return {
    write: (row) => {
      const data = writeData(row)
      if (data.length > rowCharactersMax) throw tooLong(data.length, rowCharactersMax)
      return { id: readId(row), data }
    },
    sources: members.flatMap(({ sources }) => sources),
  }
}

/** Position of the column whose text, as Postgres prints it, is the id; undefined where the id is anything else. */
export function findIdPosition(list: readonly PlanColumn[], columns: RowColumns): number | undefined {
  const [first, second] = resolveMembers(list, columns).find(({ name }) => name === 'id')?.sources ?? []
  if (first?.kind !== 'column' || second !== undefined || !isItsText(first.column.form)) return undefined
  return first.column.index
}

function tooLong(characters: number, charactersMax: number): EvaluationError {
  return new EvaluationError(
    `Cannot put the row into a bucket: its data have ${characters} characters, expected at most ${charactersMax}`,
  )
}

/** Later columns overwrite earlier ones of the same name, in their place; a star of older editions only fills gaps. */
function resolveMembers(list: readonly PlanColumn[], columns: RowColumns): readonly Member[] {
  const members = new Map<string, readonly Source[]>()
  for (const item of list) {
    if (item.kind === 'column') {
      const source = toSource(item.expression, columns)
      if (source !== undefined) members.set(item.name, [source])
      continue
    }
    for (const column of columns.all) {
      const source: Source = { kind: 'column', column }
      if (item.style === 'everything') members.set(column.name, [source])
      else if (!column.name.startsWith('_')) members.set(column.name, fillGap(members.get(column.name), source))
    }
  }
  return Array.from(members, ([name, sources]) => ({ name, sources }))
}

function toSource(expression: Expression, columns: RowColumns): Source | undefined {
  if (expression.kind !== 'column') return { kind: 'expression', expression }
  const column = columns.find(expression.name)
  return column === undefined ? undefined : { kind: 'column', column }
}

function fillGap(known: readonly Source[] | undefined, source: Source & { kind: 'column' }): readonly Source[] {
  const isThere = known?.some((other) => other.kind === 'column' && other.column === source.column) ?? false
  return isThere ? (known ?? []) : [...(known ?? []), source]
}

/** `"name":` behind a brace and behind a comma; writes the value, undefined for what is left out. */
type Writer = {
  readonly head: string
  readonly nextHead: string
  readonly write: (row: TextRow) => string | undefined
}

function compileData(members: readonly Member[], scope: QueryScope): (row: TextRow) => string {
  const writers = members.map(({ name, sources }): Writer => {
    const head = `${JSON.stringify(name)}:`
    return { head: `{${head}`, nextHead: `,${head}`, write: compileWriter(sources, scope) }
  })
  return (row) => {
    let out = ''
    for (const writer of writers) {
      const json = writer.write(row)
      if (json !== undefined) out += out === '' ? writer.head + json : writer.nextHead + json
    }
    return out === '' ? '{}' : `${out}}`
  }
}

function compileWriter(sources: readonly Source[], scope: QueryScope): Writer['write'] {
  const [first, second] = sources
  if (first?.kind === 'column' && second === undefined) return columnWriter(first.column)
  const read = compileValue(sources, scope)
  return (row) => {
    const value = read(row)
    return value === undefined ? undefined : valueToJson(value)
  }
}

function columnWriter({ index, form }: RowColumn): Writer['write'] {
  switch (form.kind) {
    case 'integer':
      return (row) => (row[index] === null ? 'null' : row[index])
    case 'blob':
      return (row) => (row[index] === null ? 'null' : undefined)
    default: {
      const toJson = jsonWriter(form)
      return (row) => {
        const text = row[index]
        if (text === undefined) return undefined
        return text === null ? 'null' : toJson(text)
      }
    }
  }
}

function jsonWriter(form: ColumnForm & { kind: 'real' | 'boolean' | 'text' }): (text: string) => string {
  switch (form.kind) {
    case 'real':
      return (text) => realToJson(Number(text))
    case 'boolean':
      return (text) => (text === 't' ? '1' : '0')
    case 'text': {
      const { convert } = form
      return convert === undefined ? (text) => JSON.stringify(text) : (text) => JSON.stringify(convert(text))
    }
  }
}

type ReadValue = (row: TextRow) => SqliteValue | undefined

/** The first value that is not NULL; else NULL where there is one, and undefined where the row has none of the columns. */
function compileValue(sources: readonly Source[], scope: QueryScope): ReadValue {
  const readers = sources.map((source) => sourceReader(source, scope))
  const [first, second] = readers
  if (first !== undefined && second === undefined) return first
  return (row) => {
    let found: SqliteValue | undefined
    for (const read of readers) {
      const value = read(row)
      if (value !== undefined) found = value
      if (value !== undefined && value !== null) return value
    }
    return found
  }
}

function sourceReader(source: Source, { leaves }: QueryScope): ReadValue {
  if (source.kind === 'expression') return compileExpression(source.expression, leaves)
  const { index, form } = source.column
  return (row) => {
    const text = row[index]
    return text === null || text === undefined ? text : readValue(form, text)
  }
}

/** Text of the id: empty for NULL. Unlike in the data, an integral real has no fraction. */
function compileId({ sources }: Member, scope: QueryScope): (row: TextRow) => string {
  const [first, second] = sources
  if (first?.kind === 'column' && second === undefined && isItsText(first.column.form)) {
    const { index } = first.column
    return (row) => row[index] ?? ''
  }
  const read = compileValue(sources, scope)
  return (row) => valueToText(read(row) ?? null)
}

/** Is what Postgres prints the text of the value? */
function isItsText(form: ColumnForm): boolean {
  return form.kind === 'integer' || (form.kind === 'text' && form.convert === undefined)
}
