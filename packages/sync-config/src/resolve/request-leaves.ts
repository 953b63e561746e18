import type { Leaves } from '../evaluate/leaves.ts'
import { functionsOf } from '../functions/functions.ts'
import type { Element } from '../functions/each-element.ts'
import { type Expression, partsOf, type RequestStyle } from '../plan.ts'
import type { RequestObject, RequestValue, SqliteValue } from '../types.ts'
import type { ValueOptions } from '../values/column-form.ts'
import { EvaluationError, realToJson } from '../values/value.ts'
import type { RequestWork } from './request-work.ts'

/** What the routes of one stream see of a request. Without a subscription its parameters are all NULL. */
export type RequestData = {
  readonly claims: RequestObject
  readonly connection: RequestObject
  readonly subscription: RequestObject | undefined
  /** Counts what is read. */
  readonly work: RequestWork
}

/** What expressions of a route see; the element is there in a step that walks an array. */
export type RequestScope = RequestData & { readonly element: Element | undefined }

/** Characters of a text that costs nothing to speak of. */
const SHORT = 100

export function readsSubscription(expression: Expression): boolean {
  return expression.kind === 'request'
    ? expression.source === 'subscription'
    : partsOf(expression).some(readsSubscription)
}

export function requestLeaves(options: ValueOptions): Leaves<RequestScope> {
  return {
    engine: options.engine,
    column: () => {
      throw new Error('Invariant: an expression over the request reads no columns')
    },
    element:
      ({ part }) =>
      ({ element }) =>
        element?.[part] ?? null,
    table: () => {
      throw new Error('Invariant: an expression over the request has no table')
    },
    functionOf: functionsOf(options),
    request: (expression) => {
      const { source, path } = expression
      const read =
        path.length === 0 ? wholeObject : (object: RequestObject | undefined) => memberValue(object, expression)
      return (scope) => {
        const value = read(scope[source])
        if (typeof value === 'string' && value.length > SHORT) scope.work.addCharacters(value.length)
        return value
      }
    },
    quickTest: () => undefined,
  }
}

function wholeObject(object: RequestObject | undefined): SqliteValue {
  return object === undefined ? null : toJsonText(object, 1)
}

function memberValue(
  object: RequestObject | undefined,
  { path, style }: Expression & { kind: 'request' },
): SqliteValue {
  let at: RequestValue | undefined = object
  for (const name of path) at = findMember(at, name)
  switch (typeof at) {
    case 'undefined':
      return null
    case 'string':
      return at
    case 'number':
    case 'bigint':
      return numberValue(at, style)
    case 'boolean':
      return at ? 1n : 0n
    case 'object':
      if (at === null) return style === 'extract-null-text' ? 'null' : null
      return toJsonText(at, 1)
  }
}

/** Numbers of a request are reals, but for integers that a real cannot hold, and where members are flattened. */
function numberValue(value: number | bigint, style: RequestStyle): SqliteValue {
  if (typeof value === 'bigint') return style === 'flat' || !isSafe(value) ? value : Number(value)
  return style === 'flat' && Number.isInteger(value) ? BigInt(value) : value
}

function isSafe(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
}

const ARRAY_INDEX = /^(0|[1-9]\d*)$/

/** Undefined for what is not there, and inside a scalar. Nothing inherited is found. */
function findMember(value: RequestValue | undefined, name: string): RequestValue | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (isArray(value)) return ARRAY_INDEX.test(name) ? value[Number(name)] : undefined
  return Object.hasOwn(value, name) ? value[name] : undefined
}

function isArray(value: object): value is readonly RequestValue[] {
  return Array.isArray(value)
}

/** Levels of arrays and objects inside each other that a request may have where it is taken as text. */
const NESTING_MAX = 1000

/** Numbers of a request are reals, also in its text: `{"n":5.0}`. */
function toJsonText(value: RequestValue, level: number): string {
  switch (typeof value) {
    case 'number':
      return realToJson(value)
    case 'bigint':
      return isSafe(value) ? realToJson(Number(value)) : String(value)
    case 'string':
    case 'boolean':
      return JSON.stringify(value)
    case 'object':
      if (value === null) return 'null'
      if (level > NESTING_MAX) {
        throw new EvaluationError(`Cannot read the request: it is nested deeper than ${NESTING_MAX} levels`)
      }
      if (isArray(value)) return `[${value.map((element) => toJsonText(element, level + 1)).join(',')}]`
      return `{${Object.entries(value)
        .map(([name, member]) => `${JSON.stringify(name)}:${toJsonText(member, level + 1)}`)
        .join(',')}}`
  }
}
