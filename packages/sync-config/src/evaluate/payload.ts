import type { PlanColumn } from '../plan.ts'
import type { TextRow } from '../types.ts'
import { type ColumnForm, readValue } from '../values/column-form.ts'
import { realToJson, valueToText } from '../values/value.ts'
import type { RowColumn, RowColumns } from './row-columns.ts'

/** What an object holds, and under which id. */
export type Payload = {
  readonly writeData: (row: TextRow) => string
  readonly readId: (row: TextRow) => string
  /** Columns that are written. */
  readonly columns: readonly RowColumn[]
  readonly idColumns: readonly RowColumn[]
}

/** One member of the JSON object. Of several columns the first that is not NULL is written. */
type Member = { readonly name: string; readonly columns: readonly RowColumn[] }

/** Makes the writer of a SELECT list for one table. Columns that the table does not have are left out. */
export function compilePayload(list: readonly PlanColumn[], columns: RowColumns): Payload {
  const members = resolveMembers(list, columns)
  const id = members.find(({ name }) => name === 'id')
  return {
    writeData: compileData(members),
    readId: id === undefined ? () => '' : compileId(id),
    columns: members.flatMap((member) => member.columns),
    idColumns: id?.columns ?? [],
  }
}

/** Later columns overwrite earlier ones of the same name, in their place; a star of older editions only fills gaps. */
function resolveMembers(list: readonly PlanColumn[], columns: RowColumns): readonly Member[] {
  const members = new Map<string, readonly RowColumn[]>()
  for (const item of list) {
    if (item.kind === 'column') {
      const column = item.expression.kind === 'column' ? columns.find(item.expression.name) : undefined
      if (column !== undefined) members.set(item.name, [column])
      continue
    }
    for (const column of columns.all) {
      if (item.style === 'everything') members.set(column.name, [column])
      else if (!column.name.startsWith('_')) members.set(column.name, [...(members.get(column.name) ?? []), column])
    }
  }
  return Array.from(members, ([name, from]) => ({ name, columns: from }))
}

/** Index in a row, `"name":` behind a comma and without one, and how to write a value that is not NULL. */
type Writer = {
  readonly index: number
  readonly head: string
  readonly nextHead: string
  readonly write: (text: string) => string | undefined
}

function compileData(members: readonly Member[]): (row: TextRow) => string {
  const writers = members.flatMap(({ name, columns: [column, ...others] }): readonly (Writer | readonly Writer[])[] => {
    if (column === undefined) return []
    const first = makeWriter(name, column)
    return [others.length === 0 ? first : [first, ...others.map((other) => makeWriter(name, other))]]
  })
  return (row) => {
    let out = ''
    for (const entry of writers) {
      const writer = 'index' in entry ? entry : firstWithValue(entry, row)
      const text = row[writer.index]
      if (text === undefined) continue
      const json = text === null ? 'null' : writer.write(text)
      if (json !== undefined) out += out === '' ? writer.head + json : writer.nextHead + json
    }
    return out === '' ? '{}' : `${out}}`
  }
}

function firstWithValue(writers: readonly Writer[], row: TextRow): Writer {
  const isSet = ({ index }: Writer): boolean => row[index] !== null && row[index] !== undefined
  const found = writers.find(isSet) ?? writers.find(({ index }) => row[index] === null) ?? writers[0]
  if (found === undefined) throw new Error('Invariant: a member has a column')
  return found
}

function makeWriter(name: string, { index, form }: RowColumn): Writer {
  const head = `${JSON.stringify(name)}:`
  return { index, head: `{${head}`, nextHead: `,${head}`, write: jsonWriter(form) }
}

/** Undefined for binary data, which is left out. */
function jsonWriter(form: ColumnForm): (text: string) => string | undefined {
  switch (form.kind) {
    case 'integer':
      return (text) => text
    case 'real':
      return (text) => realToJson(Number(text))
    case 'boolean':
      return (text) => (text === 't' ? '1' : '0')
    case 'blob':
      return () => undefined
    case 'text': {
      const { convert } = form
      return convert === undefined ? (text) => JSON.stringify(text) : (text) => JSON.stringify(convert(text))
    }
  }
}

/** Text of the id: empty for NULL. Unlike in the data, an integral real has no fraction. */
function compileId({ columns }: Member): (row: TextRow) => string {
  return (row) => {
    for (const { index, form } of columns) {
      const text = row[index]
      if (text === null || text === undefined) continue
      return form.kind === 'integer' || (form.kind === 'text' && form.convert === undefined)
        ? text
        : valueToText(readValue(form, text))
    }
    return ''
  }
}
