import {
  type Affinity,
  compareSqlite,
  type Conversion,
  conversionOf,
  isAmong,
  isBetween,
  negateTruth,
  type Truth,
  truthOf,
  truthToValue,
} from '../functions/sqlite-compare.ts'
import { elementsOf } from '../functions/sqlite-functions.ts'
import { toSqliteInteger, toSqliteValue } from '../functions/sqlite-number.ts'
import type { Expression } from '../plan.ts'
import { EvaluationError } from '../values/value.ts'
import { allOf, anyOf } from './all-of.ts'
import { callWith, chooseBranch } from './call-with.ts'
import { PASSES } from './comparison.ts'
import type { Evaluate, Leaves, Test } from './leaves.ts'

type Call = Expression & { kind: 'call' }
type Compare = Expression & { kind: 'compare' }

/** By SQLite's rules: logic is three-valued, and a CAST decides how its side of a comparison is compared. */
export function compileSqliteExpression<Input>(expression: Expression, leaves: Leaves<Input>): Evaluate<Input> {
  switch (expression.kind) {
    case 'null':
      return () => null
    case 'integer': {
      const value = toSqliteInteger(BigInt(expression.digits))
      return () => value
    }
    case 'real':
    case 'text': {
      const { value } = expression
      return () => value
    }
    case 'column':
      return fromOutside(leaves.column(expression.name))
    case 'element':
      return fromOutside(leaves.element(expression))
    case 'table': {
      const value = leaves.table(expression.part)
      return () => value
    }
    case 'request':
      return fromOutside(leaves.request(expression))
    case 'call':
      return compileCall(expression, leaves)
    case 'case':
      return compileCase(expression, leaves)
    case 'compare':
    case 'is-null':
    case 'not':
    case 'and':
    case 'or': {
      const truth = compileTruth(expression, leaves)
      return (input) => truthToValue(truth(input))
    }
  }
}

/** Is the expression true? Neither NULL nor NOT NULL is. */
export function compileSqliteTest<Input>(expression: Expression, leaves: Leaves<Input>): Test<Input> {
  // NaN IS NULL here, which the text of a column does not tell.
  const quick = expression.kind === 'is-null' ? undefined : leaves.quickTest(expression)
  if (quick !== undefined) return quick
  switch (expression.kind) {
    case 'and':
      return allOf(expression.operands.map((operand) => compileSqliteTest(operand, leaves)))
    case 'or':
      return anyOf(expression.operands.map((operand) => compileSqliteTest(operand, leaves)))
    default: {
      const truth = compileTruth(expression, leaves)
      return (input) => truth(input) === true
    }
  }
}

function fromOutside<Input>(evaluate: Evaluate<Input>): Evaluate<Input> {
  return (input) => toSqliteValue(evaluate(input))
}

type EvaluateTruth<Input> = (input: Input) => Truth

function compileTruth<Input>(expression: Expression, leaves: Leaves<Input>): EvaluateTruth<Input> {
  switch (expression.kind) {
    case 'not': {
      const truth = compileTruth(expression.operand, leaves)
      return (input) => negateTruth(truth(input))
    }
    case 'is-null': {
      const evaluate = compileSqliteExpression(expression.operand, leaves)
      return (input) => evaluate(input) === null
    }
    case 'and':
    case 'or': {
      const truths = expression.operands.map((operand) => compileTruth(operand, leaves))
      return combineTruths(truths, expression.kind === 'or')
    }
    case 'compare':
      return compileComparison(expression, leaves)
    default: {
      const evaluate = compileSqliteExpression(expression, leaves)
      return (input) => truthOf(evaluate(input))
    }
  }
}

/** `decisive` of one is the result of all, whatever the others are and even where they fail. */
function combineTruths<Input>(truths: readonly EvaluateTruth<Input>[], decisive: boolean): EvaluateTruth<Input> {
  return (input) => {
    let failure: EvaluationError | undefined
    let isUnknown = false
    for (const evaluate of truths) {
      try {
        const truth = evaluate(input)
        if (truth === decisive) return decisive
        isUnknown ||= truth === null
      } catch (error) {
        if (!(error instanceof EvaluationError)) throw error
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure
    return isUnknown ? null : !decisive
  }
}

function compileComparison<Input>({ left, operator, right }: Compare, leaves: Leaves<Input>): EvaluateTruth<Input> {
  const evaluateLeft = compileSqliteExpression(left, leaves)
  const evaluateRight = compileSqliteExpression(right, leaves)
  const conversion = conversionOf(affinityOf(left), affinityOf(right))
  const passes = PASSES[operator]
  return (input) => {
    const order = compareSqlite(evaluateLeft(input), evaluateRight(input), conversion)
    return order === undefined ? null : passes(order)
  }
}

function affinityOf(expression: Expression): Affinity {
  if (expression.kind !== 'call') return undefined
  switch (expression.name) {
    case 'cast_text':
      return 'text'
    case 'cast_blob':
      return 'blob'
    case 'cast_integer':
    case 'cast_numeric':
    case 'cast_real':
      return 'number'
    default:
      return undefined
  }
}

/** What compares sees its arguments as they are written, and what chooses evaluates only what it gives. */
function compileCall<Input>(expression: Call, leaves: Leaves<Input>): Evaluate<Input> {
  const { name, args } = expression
  const [first, second, third] = args
  if (first === undefined || second === undefined) return compilePlainCall(expression, leaves)
  switch (name) {
    case 'between':
      return third === undefined ? compilePlainCall(expression, leaves) : compileBetween([first, second, third], leaves)
    case 'in_list':
      return compileInList(first, args.slice(1), leaves)
    case 'in_json':
      return compileInJson(first, second, leaves)
    case 'ifnull': {
      const evaluate = compileSqliteExpression(first, leaves)
      const otherwise = compileSqliteExpression(second, leaves)
      return (input) => evaluate(input) ?? otherwise(input)
    }
    case 'iif':
      return compileCase(
        {
          kind: 'case',
          branches: [{ when: first, result: second }],
          otherwise: third ?? { kind: 'null' },
        },
        leaves,
      )
    default:
      return compilePlainCall(expression, leaves)
  }
}

function compilePlainCall<Input>({ name, args }: Call, leaves: Leaves<Input>): Evaluate<Input> {
  return callWith(
    leaves.functionOf(name),
    args.map((arg) => compileSqliteExpression(arg, leaves)),
  )
}

function compileBetween<Input>(
  [operand, low, high]: readonly [Expression, Expression, Expression],
  leaves: Leaves<Input>,
): Evaluate<Input> {
  const evaluate = compileSqliteExpression(operand, leaves)
  const side = (limit: Expression): ((value: ReturnType<Evaluate<Input>>, input: Input) => number | undefined) => {
    const evaluateLimit = compileSqliteExpression(limit, leaves)
    const conversion = conversionOf(affinityOf(operand), affinityOf(limit))
    return (value, input) => compareSqlite(value, evaluateLimit(input), conversion)
  }
  const [toLow, toHigh] = [side(low), side(high)]
  return (input) => {
    const value = evaluate(input)
    return truthToValue(isBetween(toLow(value, input), toHigh(value, input)))
  }
}

/** Only the left side says how to compare, whatever is in the list. */
function compileInList<Input>(
  operand: Expression,
  items: readonly Expression[],
  leaves: Leaves<Input>,
): Evaluate<Input> {
  const evaluate = compileSqliteExpression(operand, leaves)
  const evaluates = items.map((item) => compileSqliteExpression(item, leaves))
  const conversion = conversionOf(affinityOf(operand), undefined)
  return (input) => {
    const others = evaluates.map((evaluateItem) => evaluateItem(input))
    return truthToValue(isAmong(evaluate(input), others, conversion))
  }
}

/** As IN (SELECT value FROM json_each(array)): the values are as they are. */
function compileInJson<Input>(operand: Expression, json: Expression, leaves: Leaves<Input>): Evaluate<Input> {
  const evaluate = compileSqliteExpression(operand, leaves)
  const evaluateJson = compileSqliteExpression(json, leaves)
  const conversion: Conversion = conversionOf(affinityOf(operand), 'blob')
  return (input) => truthToValue(isAmong(evaluate(input), elementsOf(evaluateJson(input)), conversion))
}

function compileCase<Input>(expression: Expression & { kind: 'case' }, leaves: Leaves<Input>): Evaluate<Input> {
  return chooseBranch(expression, {
    test: (part) => compileSqliteTest(part, leaves),
    value: (part) => compileSqliteExpression(part, leaves),
  })
}
