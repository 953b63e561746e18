import type { JsonObject, JsonValue } from '@headwater/protocol'
import type { Leaves } from '../evaluate/leaves.ts'
import type { Expression, RequestStyle } from '../plan.ts'
import type { SqliteValue } from '../types.ts'
import { realToJson } from '../values/value.ts'

/** What the routes of one stream see of a request. Without a subscription its parameters are all NULL. */
export type RequestData = {
  readonly claims: JsonObject
  readonly connection: JsonObject
  readonly subscription: JsonObject | undefined
}

export const REQUEST_LEAVES: Leaves<RequestData> = {
  engine: 'default',
  column: () => {
    throw new Error('Invariant: an expression over the request reads no columns')
  },
  element: () => {
    throw new Error('Invariant: only a step over an array has elements')
  },
  table: () => {
    throw new Error('Invariant: an expression over the request has no table')
  },
  functionOf: (name) => {
    throw new Error(`Invariant: ${name} needs the options of a plan`)
  },
  request: (expression) => {
    const { source, style } = expression
    if (expression.path.length === 0) return (data) => wholeObject(data[source])
    return (data) => memberValue(data[source], expression, style)
  },
  quickTest: () => undefined,
}

function wholeObject(object: JsonObject | undefined): SqliteValue {
  return object === undefined ? null : toJsonText(object)
}

function memberValue(
  object: JsonObject | undefined,
  { path }: Expression & { kind: 'request' },
  style: RequestStyle,
): SqliteValue {
  let at: JsonValue | undefined = object
  for (const name of path) at = findMember(at, name)
  switch (typeof at) {
    case 'undefined':
      return null
    case 'string':
      return at
    case 'number':
      return style === 'flat' && Number.isInteger(at) ? BigInt(at) : at
    case 'boolean':
      return at ? 1n : 0n
    case 'object':
      if (at === null) return style === 'extract-null-text' ? 'null' : null
      return toJsonText(at)
  }
}

const ARRAY_INDEX = /^(0|[1-9]\d*)$/

/** Undefined for what is not there, and inside a scalar. Nothing inherited is found. */
function findMember(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (isArray(value)) return ARRAY_INDEX.test(name) ? value[Number(name)] : undefined
  return Object.hasOwn(value, name) ? value[name] : undefined
}

function isArray(value: object): value is readonly JsonValue[] {
  return Array.isArray(value)
}

/** Numbers of a request are reals, also in its text: `{"n":5.0}`. */
function toJsonText(value: JsonValue): string {
  switch (typeof value) {
    case 'number':
      return realToJson(value)
    case 'string':
    case 'boolean':
      return JSON.stringify(value)
    case 'object':
      if (value === null) return 'null'
      if (isArray(value)) return `[${value.map(toJsonText).join(',')}]`
      return `{${Object.entries(value)
        .map(([name, member]) => `${JSON.stringify(name)}:${toJsonText(member)}`)
        .join(',')}}`
  }
}
