import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { functionsOf } from '../functions/functions.ts'
import { CAST_TYPES, type FunctionName, OPERATORS, SCALAR_FUNCTIONS } from '../functions/signatures.ts'
import type { Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import type { ColumnForm } from '../values/column-form.ts'
import { EvaluationError } from '../values/value.ts'
import { compileExpression } from './expression.ts'
import { type FormOf, mayThrow } from './may-throw.ts'

const FORMS: { readonly [name: string]: ColumnForm['kind'] } = {
  integer: 'integer',
  real: 'real',
  boolean: 'boolean',
  blob: 'blob',
  text: 'text',
}
const formOf: FormOf = (name) => FORMS[name]

const column = (name: string): Expression => ({ kind: 'column', name })
const call = (name: FunctionName, ...args: readonly Expression[]): Expression => ({ kind: 'call', name, args })
const text = (value: string): Expression => ({ kind: 'text', value })

describe('an expression that', () => {
  test.each<readonly [string, Expression, boolean]>([
    ['is a column', column('text'), false],
    [
      'compares a blob and a text',
      { kind: 'compare', operator: '=', left: column('blob'), right: column('text') },
      false,
    ],
    ['compares two blobs', { kind: 'compare', operator: '=', left: column('blob'), right: column('blob') }, true],
    [
      'compares a blob made of text',
      { kind: 'compare', operator: '<', left: call('cast_blob', text('a')), right: column('blob') },
      true,
    ],
    [
      'asks whether a blob is among values of which one is a blob',
      call('in_list', column('blob'), text('a'), column('blob')),
      true,
    ],
    ['asks whether a blob is between others', call('between', column('blob'), column('integer'), column('blob')), true],
    ['asks whether a text is among blobs', call('in_list', column('text'), column('blob')), false],
    ['reads JSON', call('->>', column('text'), text('a')), true],
    [
      'reads JSON below other things',
      { kind: 'not', operand: call('upper', call('->>', column('text'), text('a'))) },
      true,
    ],
    ['asks whether it is JSON', call('json_valid', column('text')), false],
    ['changes text', call('||', call('upper', column('text')), call('hex', column('blob'))), false],
    ['adds numbers', call('+', column('integer'), call('*', column('real'), column('boolean'))), false],
    ['adds text', call('+', column('integer'), column('text')), true],
    ['casts a real to an integer', call('cast_integer', column('real')), true],
    ['casts an integer to an integer', call('cast_integer', column('integer')), false],
    ['cuts text at literals', call('substring', column('text'), { kind: 'integer', digits: '1' }), false],
    ['cuts text at a real', call('substring', column('text'), column('real')), true],
    ['reads a column that is not there', call('cast_integer', column('missing')), false],
  ])('%s', (_what, expression, expected) => {
    expect(mayThrow(expression, formOf)).toBe(expected)
  })
})

const NAMES: readonly FunctionName[] = [
  ...(Object.keys(SCALAR_FUNCTIONS) as FunctionName[]),
  ...OPERATORS,
  ...CAST_TYPES.map((type) => `cast_${type}` as const),
  'between',
  'in_list',
  'in_json',
  'json_elements',
  'json_elements_if_array',
]

const { expression } = fc.letrec<{ readonly expression: Expression }>((tie) => {
  const leaf = fc.oneof(
    fc.constantFrom(...Object.keys(FORMS), 'missing').map(column),
    fc.constantFrom('', 'a', '12', '[1]', '$.a').map(text),
    fc.constant<Expression>({ kind: 'null' }),
  )
  const part = tie('expression')
  return {
    expression: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      leaf,
      fc
        .record({ name: fc.constantFrom(...NAMES), args: fc.array(part, { maxLength: 3 }) })
        .map(({ name, args }) => call(name, ...args)),
      fc.record({
        kind: fc.constant('compare' as const),
        operator: fc.constantFrom('=', '!=', '<', '<='),
        left: part,
        right: part,
      }),
      fc.record({ kind: fc.constantFrom('and', 'or'), operands: fc.array(part, { maxLength: 3 }) }),
      fc.record({ kind: fc.constantFrom('not', 'is-null'), operand: part }),
      fc.record({
        kind: fc.constant('case' as const),
        branches: fc.array(fc.record({ when: part, result: part }), { maxLength: 2 }),
        otherwise: part,
      }),
    ),
  }
})

const row = fc.record<{ [name: string]: SqliteValue }>({
  integer: fc.option(fc.bigInt(-5n, 5n)),
  real: fc.option(fc.constantFrom(0, -1.5, 1e300, Infinity, Number.NaN)),
  boolean: fc.option(fc.constantFrom(0n, 1n)),
  blob: fc.option(fc.constantFrom(new Uint8Array(), new Uint8Array([0x31]))),
  text: fc.option(fc.constantFrom('', 'x', '[1,2]', '{"a":1}', '2.5', '9'.repeat(10_001))),
})

test('what cannot throw never does, and throws nothing else where it can', () => {
  const functionOf = functionsOf({
    times: { iso: true, fractionDigits: 6 },
    customTypes: true,
    fixedJsonExtract: true,
    engine: 'default',
  })
  fc.assert(
    fc.property(expression, row, (tree, values) => {
      const evaluate = compileExpression<{ readonly [name: string]: SqliteValue }>(tree, {
        engine: 'default',
        column: (name) => (input) => input[name] ?? null,
        element: () => () => null,
        table: () => '',
        request: () => () => null,
        quickTest: () => undefined,
        functionOf,
      })
      try {
        evaluate(values)
      } catch (error) {
        expect(error).toBeInstanceOf(EvaluationError)
        expect(mayThrow(tree, formOf)).toBe(true)
      }
    }),
    { numRuns: 3000 },
  )
})
