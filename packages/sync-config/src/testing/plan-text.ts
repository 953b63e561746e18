import { type Expression, type PlanBody, type PlanRoute, type PlanStep, type PlanValue, readPlanBody } from '../plan.ts'
import { planOf, streamsConfig } from './builders.ts'

/**
 * For tests: what a query of a stream is compiled to, in lines like
 *
 *     rows of crew as crew by ship where active
 *     route (auth.sub) where ('x' = auth.role)
 *       1: seats by person (auth.sub) where open gives ship
 *       2: each of auth.list by value (1.ship) gives value
 */
export function planText(query: string): readonly string[] {
  return describeBody(readPlanBody(planOf(streamsConfig({ s: query }))))
}

export function describeBody(body: PlanBody): readonly string[] {
  const rows = body.evaluators.map(({ table, expansions, filters, keys, output }) => {
    const part = { expansions, filters, keys }
    return `rows of ${table.name} as ${output ?? 'themselves'}${describePart(part)}`
  })
  const routes = body.streams.flatMap(({ routes: list }) => list.flatMap((route) => describeRoute(body, route)))
  return [...rows, ...routes]
}

type Part = Pick<PlanBody['lookups'][number], 'expansions' | 'filters' | 'keys'> & {
  readonly inputs?: readonly string[]
  readonly outputs?: readonly Expression[]
}

function describePart({ expansions, filters, keys, inputs, outputs = [] }: Part): string {
  const text = (expression: Expression): string => describeExpression(expression, expansions)
  const by = keys.length === 0 ? '' : ` by ${keys.map(text).join(', ')}`
  const from = inputs === undefined || inputs.length === 0 ? '' : ` (${inputs.join(', ')})`
  const where = filters.length === 0 ? '' : ` where ${filters.map(text).join(' and ')}`
  const gives = outputs.length === 0 ? '' : ` gives ${outputs.map(text).join(', ')}`
  return `${by}${from}${where}${gives}`
}

function describeRoute(
  body: PlanBody,
  { filters, steps, values }: Pick<PlanRoute, 'filters' | 'steps' | 'values'>,
): readonly string[] {
  const valueText = (value: PlanValue): string => {
    switch (value.kind) {
      case 'request':
        return describeExpression(value.expression, [])
      case 'output':
        return `${value.step + 1}.${outputText(body, steps[value.step], value.output)}`
      case 'all':
        return value.values.map(valueText).join(' & ')
    }
  }
  const where = describePart({ expansions: [], filters, keys: [] })
  const lines = steps.flatMap((step, index) => {
    if (step.kind === 'absent') {
      const [first = '', ...rest] = describeRoute(body, { ...step, values: [] })
      return [
        `  ${index + 1}: absent ${first.replace('route () ', '').replace('route ()', '')}`.trimEnd(),
        ...rest.map((line) => `  ${line}`),
      ]
    }
    const inputs = step.inputs.map(valueText)
    if (step.kind === 'lookup') {
      const lookup = lookupOf(body, step)
      return `  ${index + 1}: ${lookup.table.name}${describePart({ ...lookup, inputs })}`
    }
    const part = describePart({ ...step, expansions: [{ kind: 'text', value: '' }], inputs })
    return `  ${index + 1}: each of ${describeExpression(step.argument, [])}${part}`
  })
  return [`route (${values.map(valueText).join(', ')})${where}`, ...lines]
}

function lookupOf(body: PlanBody, step: PlanStep & { kind: 'lookup' }): PlanBody['lookups'][number] {
  const lookup = body.lookups.find(({ id }) => id === step.lookup)
  if (lookup === undefined) throw new Error('a step reads a lookup of the plan')
  return lookup
}

function outputText(body: PlanBody, step: PlanStep | undefined, output: number): string {
  if (step === undefined || step.kind === 'absent') return '?'
  if (step.kind === 'each') return step.outputs.slice(output).map((each) => describeExpression(each, []))[0] ?? '?'
  const { outputs, expansions } = lookupOf(body, step)
  return outputs.slice(output).map((each) => describeExpression(each, expansions))[0] ?? '?'
}

const SOURCES = { claims: 'auth', connection: 'connection', subscription: 'subscription' } as const

/** Elements of a row are called like their array, numbered where it is taken apart more than once. */
function describeExpression(expression: Expression, expansions: readonly Expression[]): string {
  const text = (part: Expression): string => describeExpression(part, expansions)
  switch (expression.kind) {
    case 'null':
      return 'NULL'
    case 'integer':
      return expression.digits
    case 'real':
      return String(expression.value)
    case 'text':
      return `'${expression.value}'`
    case 'column':
      return expression.name
    case 'element': {
      const array = expansions[expression.expansion]
      const isOwn = array === undefined || (array.kind === 'text' && array.value === '')
      if (isOwn) return expression.part
      const before = expansions.slice(0, expression.expansion).filter((each) => text(each) === text(array)).length
      return `${text(array)}[${before === 0 ? '' : before + 1}].${expression.part}`
    }
    case 'table':
      return `table.${expression.part}`
    case 'request':
      return [SOURCES[expression.source], ...expression.path].join('.')
    case 'compare':
      return `(${text(expression.left)} ${expression.operator} ${text(expression.right)})`
    case 'not':
      return `not ${text(expression.operand)}`
    case 'is-null':
      return `${text(expression.operand)} is null`
    case 'and':
    case 'or':
      return `(${expression.operands.map(text).join(` ${expression.kind} `)})`
    case 'call':
      return `${expression.name}(${expression.args.map(text).join(', ')})`
    case 'case':
      return 'case'
  }
}
