import type { FunctionName } from '../functions/signatures.ts'
import { type Expression, partsOf } from '../plan.ts'
import type { ColumnForm } from '../values/column-form.ts'

/** Of a column by name; undefined where there is no such column. */
export type FormOf = (column: string) => ColumnForm['kind'] | undefined

/**
 * Can evaluating it raise `EvaluationError`, whatever the columns hold? Says so rather too often than too rarely. That
 * a column's text may not be readable at all is not looked at.
 */
export function mayThrow(expression: Expression, formOf: FormOf): boolean {
  if (partsOf(expression).some((part) => mayThrow(part, formOf))) return true
  const mayBe = (part: Expression | undefined, kind: Kind): boolean =>
    part !== undefined && kindsOf(part, formOf).includes(kind)
  switch (expression.kind) {
    case 'compare':
      return mayBe(expression.left, 'blob') && mayBe(expression.right, 'blob')
    case 'call': {
      const { name, args } = expression
      if (READ_TEXT.has(name)) return true
      // Two blobs are not compared.
      if (name === 'between' || name === 'in_list') {
        return mayBe(args[0], 'blob') && args.slice(1).some((arg) => mayBe(arg, 'blob'))
      }
      // Text may hold more digits than a number may have; and what is not finite has no integer.
      if (NUMERIC.has(name)) return args.some((arg) => mayBe(arg, 'text') || mayBe(arg, 'blob'))
      if (name === 'cast_integer') return !kindsOf(args[0] ?? NULL, formOf).every((kind) => kind === 'integer')
      // The least integer has no absolute value.
      if (name === 'abs') return mayBe(args[0], 'integer')
      if (name === 'substring')
        return args.slice(1).some((arg) => kindsOf(arg, formOf).some((kind) => kind !== 'integer'))
      return false
    }
    default:
      return false
  }
}

type Kind = 'integer' | 'real' | 'text' | 'blob'

const NULL: Expression = { kind: 'null' }

/** These want text of a certain form. */
const READ_TEXT: ReadonlySet<FunctionName> = new Set([
  '->',
  '->>',
  'in_json',
  'json_array_length',
  'json_elements',
  'json_extract',
  'json_keys',
  'st_asgeojson',
  'st_astext',
  'st_x',
  'st_y',
  'uuid_blob',
])

const NUMERIC: ReadonlySet<FunctionName> = new Set(['+', '-', '*', '/', '%', '&', '|', '<<', '>>', 'cast_numeric'])

const TEXTS: ReadonlySet<FunctionName> = new Set([
  '->',
  '||',
  'base64',
  'cast_text',
  'datetime',
  'hex',
  'json_elements',
  'json_elements_if_array',
  'json_keys',
  'lower',
  'st_asgeojson',
  'st_astext',
  'substring',
  'typeof',
  'upper',
])

const INTEGERS: ReadonlySet<FunctionName> = new Set([
  '&',
  '<<',
  '>>',
  'between',
  'cast_integer',
  'in_json',
  'in_list',
  'instr',
  'json_array_length',
  'json_valid',
  'length',
  '|',
])

/** Kinds that the value can be of, beside NULL. */
function kindsOf(expression: Expression, formOf: FormOf): readonly Kind[] {
  switch (expression.kind) {
    case 'null':
      return []
    case 'integer':
    case 'compare':
    case 'is-null':
    case 'not':
    case 'and':
    case 'or':
      return ['integer']
    case 'real':
      return ['real']
    case 'text':
    case 'table':
      return ['text']
    case 'element':
    case 'request':
      return ['integer', 'real', 'text']
    case 'column': {
      const form = formOf(expression.name)
      if (form === undefined) return []
      return [form === 'boolean' ? 'integer' : form]
    }
    case 'case':
      return [
        ...expression.branches.flatMap(({ result }) => kindsOf(result, formOf)),
        ...kindsOf(expression.otherwise, formOf),
      ]
    case 'call':
      return kindsOfCall(expression, formOf)
  }
}

function kindsOfCall({ name, args }: Expression & { kind: 'call' }, formOf: FormOf): readonly Kind[] {
  if (TEXTS.has(name)) return ['text']
  if (INTEGERS.has(name)) return ['integer']
  if (name === 'cast_blob' || name === 'uuid_blob') return ['blob']
  if (name === 'ifnull') return args.flatMap((arg) => kindsOf(arg, formOf))
  if (name === 'nullif') return args.slice(0, 1).flatMap((arg) => kindsOf(arg, formOf))
  if (name === 'substr') return ['text', 'blob']
  if (name === 'iif') return args.slice(1).flatMap((arg) => kindsOf(arg, formOf))
  if (NUMERIC.has(name) || name === 'cast_real' || name === 'unixepoch' || name === 'st_x' || name === 'st_y') {
    return ['integer', 'real']
  }
  return ['integer', 'real', 'text']
}
