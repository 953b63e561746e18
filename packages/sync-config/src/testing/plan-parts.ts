import {
  type Expression,
  makePlan,
  type PlanBody,
  type PlanBucket,
  type PlanEvaluator,
  type PlanLookup,
  type PlanRoute,
  type PlanStream,
} from '../plan.ts'
import type { LookupId, Plan, TablePattern } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'

/** For tests of what runs a plan: parts of plans without a config, each valid with only what matters said. */

export const VALUE_OPTIONS: ValueOptions = {
  times: { iso: true, fractionDigits: 6 },
  customTypes: true,
  fixedJsonExtract: true,
  engine: 'default',
}

export function plan(body: Partial<PlanBody>): Plan {
  const none = { evaluators: [], lookups: [], buckets: [], streams: [], events: [], references: [] }
  return makePlan({ values: VALUE_OPTIONS, ...none, ...body })
}

/** `todos`, `"log_%"` or `"tenant_%".todos`, without the quotes. */
export function pattern(name: string): TablePattern {
  const [table = '', schema = 'public'] = name.split('.').toReversed()
  return { schema, isSchemaWildcard: schema.endsWith('%'), name: table, isWildcard: table.endsWith('%') }
}

export function evaluator(table: string, more: Partial<PlanEvaluator> = {}): PlanEvaluator {
  const columns = [{ kind: 'star', style: 'everything' }] as const
  return { table: pattern(table), expansions: [], filters: [], keys: [], columns, output: null, ...more }
}

export function lookup(id: string, table: string, more: Partial<PlanLookup> = {}): PlanLookup {
  const none = { expansions: [], filters: [], keys: [], outputs: [], keepsNull: false, usedBy: ['s'] }
  return { id: id as LookupId, table: pattern(table), ...none, ...more }
}

export function bucket(name: string, evaluators: readonly number[]): PlanBucket {
  return { name, hash: name, evaluators }
}

export function route(more: Partial<PlanRoute> = {}): PlanRoute {
  return { filters: [], steps: [], bucket: 0, values: [], priority: null, ...more }
}

export function stream(name: string, routes: readonly PlanRoute[], more: Partial<PlanStream> = {}): PlanStream {
  return { name, kind: 'stream', isDefault: true, priority: 3, routes, ...more }
}

/** One default stream that brings what the evaluator makes, in buckets by the values of the request given. */
export function planOfEvaluators(...evaluators: readonly PlanEvaluator[]): Plan {
  const keys = evaluators[0]?.keys ?? []
  const values = keys.map((_, index) => ({ kind: 'request', expression: claim(`k${index}`) }) as const)
  return plan({
    evaluators,
    buckets: [bucket('b', [...evaluators.keys()])],
    streams: [stream('s', [route({ values })])],
  })
}

export function column(name: string): Expression {
  return { kind: 'column', name }
}

export function text(value: string): Expression {
  return { kind: 'text', value }
}

export function elementOf(expansion: number, part: 'key' | 'value' = 'value'): Expression {
  return { kind: 'element', expansion, part }
}

export function claim(name: string): Expression {
  return { kind: 'request', source: 'claims', path: [name], style: 'extract' }
}

export function equal(left: Expression, right: Expression): Expression {
  return { kind: 'compare', operator: '=', left, right }
}

export function call(name: Extract<Expression, { kind: 'call' }>['name'], ...args: readonly Expression[]): Expression {
  return { kind: 'call', name, args }
}
