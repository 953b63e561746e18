import { describe, expect, test } from 'vitest'
import { functionsOf } from '../functions/functions.ts'
import type { FunctionName } from '../functions/signatures.ts'
import type { Comparison, Expression } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import { EvaluationError } from '../values/value.ts'
import { compileExpression, compileTest } from './expression.ts'
import type { Leaves } from './leaves.ts'

/** Columns are read from the row; one called `broken` cannot be. */
type Row = { readonly [column: string]: SqliteValue }

const LEAVES: Leaves<Row> = {
  engine: 'default',
  column: (name) => (row) => {
    if (name === 'broken') throw new EvaluationError('broken')
    return row[name] ?? null
  },
  element: () => () => null,
  table: (part) => `the ${part}`,
  request: () => () => null,
  quickTest: () => undefined,
  functionOf: functionsOf({
    times: { iso: true, fractionDigits: 6 },
    customTypes: true,
    fixedJsonExtract: true,
    engine: 'default',
  }),
}

const NULL: Expression = { kind: 'null' }
const BROKEN: Expression = { kind: 'column', name: 'broken' }

function lit(value: SqliteValue): Expression {
  if (typeof value === 'bigint') return { kind: 'integer', digits: String(value) }
  if (typeof value === 'number') return { kind: 'real', value }
  return typeof value === 'string' ? { kind: 'text', value } : NULL
}

const and = (...operands: readonly Expression[]): Expression => ({ kind: 'and', operands })
const or = (...operands: readonly Expression[]): Expression => ({ kind: 'or', operands })
const not = (operand: Expression): Expression => ({ kind: 'not', operand })
const call = (name: FunctionName, ...args: readonly Expression[]): Expression => ({ kind: 'call', name, args })

function compare(operator: Comparison, left: SqliteValue, right: SqliteValue): Expression {
  return { kind: 'compare', operator, left: lit(left), right: lit(right) }
}

function evaluate(expression: Expression, row: Row = {}): SqliteValue {
  const value = compileExpression(expression, LEAVES)(row)
  // As a condition it must say the same.
  expect(compileTest(expression, LEAVES)(row)).toBe(compileTest(lit(value), LEAVES)({}))
  return value
}

describe('logic', () => {
  test('is 1 or 0, and never NULL', () => {
    expect(evaluate(and(NULL, lit(0n)))).toBe(0n)
    expect(evaluate(or(NULL, lit(0n)))).toBe(0n)
    expect(evaluate(or(NULL, lit('2x')))).toBe(1n)
    expect(evaluate(not(NULL))).toBe(1n)
    expect(evaluate(not(lit('0.5')))).toBe(1n)
    expect(evaluate(not(lit(0.5)))).toBe(0n)
    expect(evaluate(and())).toBe(1n)
    expect(evaluate(or())).toBe(0n)
    expect(evaluate({ kind: 'is-null', operand: NULL })).toBe(1n)
    expect(evaluate({ kind: 'is-null', operand: lit('') })).toBe(0n)
  })

  test('does not mind a failure that can change nothing, wherever it stands', () => {
    for (const [left, right] of [
      [BROKEN, lit(0n)],
      [lit(0n), BROKEN],
    ] as const) {
      expect(evaluate(and(left, right))).toBe(0n)
      expect(() => compileExpression(or(left, right), LEAVES)({})).toThrow(EvaluationError)
    }
    for (const [left, right] of [
      [BROKEN, lit(1n)],
      [lit(1n), BROKEN],
    ] as const) {
      expect(evaluate(or(left, right))).toBe(1n)
      expect(() => compileExpression(and(left, right), LEAVES)({})).toThrow(EvaluationError)
    }
  })
})

describe('comparison', () => {
  test.each<readonly [SqliteValue, Comparison, SqliteValue, SqliteValue]>([
    [1n, '=', 1, 1n],
    [1n, '=', '1', 0n],
    [10n, '<', '9', 1n],
    ['a', '<', 'B', 0n],
    ['\ud83d\ude00', '<', '\uffee', 1n],
    [9007199254740993n, '=', 9007199254740992, 0n],
    [9007199254740992, '<', 9007199254740993n, 1n],
    [9007199254740993n, '<=', 9007199254740992, 0n],
    [0.1, '<=', 1n, 1n],
    [-0, '=', 0n, 1n],
    [Infinity, '<=', 10n ** 400n, 0n],
    ['', '=', '', 1n],
    [null, '=', null, null],
    [null, '!=', 1n, null],
    [1n, '!=', null, null],
    [1n, '!=', 2n, 1n],
    [null, '<', 1n, null],
    ['a', '<=', null, null],
  ])('%s %s %s', (left, operator, right, result) => {
    expect(evaluate(compare(operator, left, right))).toBe(result)
  })

  test('of two blobs is an error, of a blob and anything else is not', () => {
    const ofColumns = (operator: Comparison): Expression => ({
      kind: 'compare',
      operator,
      left: { kind: 'column', name: 'a' },
      right: { kind: 'column', name: 'b' },
    })
    const same = new Uint8Array([1])
    for (const operator of ['=', '!=', '<', '<='] as const) {
      const run = (a: SqliteValue, b: SqliteValue): SqliteValue =>
        compileExpression(ofColumns(operator), LEAVES)({ a, b })
      expect(() => run(same, same)).toThrow(EvaluationError)
      expect(() => run(same, new Uint8Array([2]))).toThrow(EvaluationError)
      expect(run(same, null)).toBeNull()
      expect(run(same, 'a')).toBe(operator === '!=' ? 1n : 0n)
    }
  })
})

describe('choices', () => {
  const branch = (
    when: Expression,
    result: Expression,
  ): { readonly when: Expression; readonly result: Expression } => ({
    when,
    result,
  })

  test('CASE gives the first branch whose condition is true, and looks at nothing behind it', () => {
    const branches = [branch(NULL, BROKEN), branch(lit('1'), lit('first')), branch(BROKEN, BROKEN)]
    expect(evaluate({ kind: 'case', branches, otherwise: BROKEN })).toBe('first')
    expect(evaluate({ kind: 'case', branches: [branch(lit(0n), BROKEN)], otherwise: lit('else') })).toBe('else')
    expect(evaluate({ kind: 'case', branches: [], otherwise: NULL })).toBeNull()
  })

  test('iif and ifnull evaluate only what they give', () => {
    expect(evaluate(call('iif', lit(0.1), lit('y'), BROKEN))).toBe('y')
    expect(evaluate(call('iif', NULL, BROKEN, lit('n')))).toBe('n')
    expect(evaluate(call('iif', lit(1n), NULL, lit('n')))).toBeNull()
    expect(evaluate(call('iif', lit(0n), lit('y')))).toBeNull()
    expect(evaluate(call('iif'))).toBeNull()
    expect(evaluate(call('ifnull', lit(0n), BROKEN))).toBe(0n)
    expect(evaluate(call('ifnull', NULL, lit('b'), BROKEN))).toBe('b')
    expect(evaluate(call('ifnull', NULL))).toBeNull()
  })
})

test('functions take as many arguments as there are', () => {
  expect(evaluate(call('upper'))).toBeNull()
  expect(evaluate(call('upper', lit('a')))).toBe('A')
  expect(evaluate(call('upper', lit('a'), lit('b')))).toBe('A')
  expect(evaluate(call('substring', lit('hello'), lit(2n)))).toBe('ello')
  expect(evaluate(call('substring', lit('hello'), lit(2n), lit(2n)))).toBe('el')
  expect(evaluate(call('substring', lit('hello'), lit(2n), NULL))).toBeNull()
  expect(evaluate(call('in_list', lit(3n), lit(1n), lit(2n), lit(3n)))).toBe(1n)
})

test('leaves give what they hold', () => {
  expect(evaluate({ kind: 'column', name: 'a' }, { a: 1.5 })).toBe(1.5)
  expect(evaluate({ kind: 'column', name: 'missing' })).toBeNull()
  expect(evaluate({ kind: 'table', part: 'suffix' })).toBe('the suffix')
  expect(evaluate(lit(12345678901234567890n))).toBe(12345678901234567890n)
})
