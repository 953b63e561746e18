import { allOf } from '../evaluate/all-of.ts'
import { compileExpression, compileTest } from '../evaluate/expression.ts'
import type { Leaves } from '../evaluate/leaves.ts'
import { eachElement, type Element } from '../functions/each-element.ts'
import type { Expression, PlanStep } from '../plan.ts'
import type { Turn } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { valueToKey } from '../values/value.ts'
import type { RelationRow } from './relation.ts'
import { readsSubscription, type RequestData, type RequestScope } from './request-leaves.ts'

/** Both throw `EvaluationError`. */
export type CompiledEach = {
  readonly readElements: (data: RequestData) => readonly Element[]
  /** Do the elements depend on it? Whether they pass may, in any case. */
  readonly readsSubscription: boolean
  /** Those that pass, as lookup entries have them: outputs by the text of the keys. */
  readonly select: (
    data: RequestData,
    elements: readonly Element[],
    turn: Turn,
  ) => Promise<ReadonlyMap<string, readonly RelationRow[]>>
}

export type EachOptions = {
  readonly leaves: Leaves<RequestScope>
  readonly options: ValueOptions
  /** May outputs be NULL? */
  readonly keepsNull: boolean
}

/** An element with a key or an output that is NULL or binary does not count. */
export function compileEach(
  step: PlanStep & { kind: 'each' },
  { leaves, options, keepsNull }: EachOptions,
): CompiledEach {
  const readArgument = compileExpression(step.argument, leaves)
  const passes = allOf(step.filters.map((filter) => compileTest(filter, leaves)))
  const keys = step.keys.map((key) => compileText(key, leaves))
  const outputs = step.outputs.map((output) => (keepsNull ? compileTextOrNull : compileText)(output, leaves))
  const select: CompiledEach['select'] = async (data, elements, turn) => {
    data.work.addElements(elements.length)
    const found = new Map<string, RelationRow[]>()
    for (const element of elements) {
      if (turn.isOverAfterStep()) await turn.next()
      const scope = { ...data, element }
      if (!passes(scope)) continue
      const key = readAll(keys, scope)?.join(',')
      const row = key === undefined ? undefined : readAll(outputs, scope)
      if (key === undefined || row === undefined) continue
      const rows = found.get(key)
      if (rows === undefined) found.set(key, [row])
      else rows.push(row)
    }
    return found
  }
  return {
    readElements: (data) => eachElement(readArgument({ ...data, element: undefined }), options),
    readsSubscription: readsSubscription(step.argument),
    select,
  }
}

/** Undefined when one of them is. */
function readAll(readers: readonly ReadText[], scope: RequestScope): RelationRow | undefined {
  const texts: string[] = []
  for (const read of readers) {
    const text = read(scope)
    if (text === undefined) return undefined
    texts.push(text)
  }
  return texts
}

/** Canonical text of a value; undefined where it can be no part of a key. */
export type ReadText = (scope: RequestScope) => string | undefined

export function compileText(expression: Expression, leaves: Leaves<RequestScope>): ReadText {
  const evaluate = compileExpression(expression, leaves)
  return (scope) => valueToKey(evaluate(scope))
}

/** Likewise, but NULL is a part of a key too: one that no row has. */
export function compileTextOrNull(expression: Expression, leaves: Leaves<RequestScope>): ReadText {
  const evaluate = compileExpression(expression, leaves)
  return (scope) => {
    const value = evaluate(scope)
    return value === null ? 'null' : valueToKey(value)
  }
}
