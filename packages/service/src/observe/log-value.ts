import { HeadwaterError } from '@headwater/protocol'

export type LogFields = { readonly [name: string]: unknown }

/** Names whose values are not for the log, whatever they hold. */
const SECRET_NAME = /(secret|password|passwd|authorization|privatekey|private_key|jwt|cookie)$|^(token|d)$/i

/** The password of `scheme://user:password@host`. */
const PASSWORD_IN_URL = /(\w+:\/\/[^\s:/@]*):[^\s@/]+@/g

const TEXT_CHARS_MAX = 4000
const ITEMS_MAX = 100
const DEPTH_MAX = 6

/** Plain JSON of what a caller wants logged: errors with code, stack and causes; secrets taken out; everything bounded. */
export function toLogFields(fields: LogFields = {}): { [name: string]: unknown } {
  return toEntries(Object.entries(fields), 0)
}

function toEntries(entries: readonly [string, unknown][], depth: number): { [name: string]: unknown } {
  return Object.fromEntries(
    entries
      .slice(0, ITEMS_MAX)
      .map(([name, value]) => [name, isSecret(name, value) ? '[redacted]' : toLogValue(value, depth)]),
  )
}

function isSecret(name: string, value: unknown): boolean {
  return SECRET_NAME.test(name) && value !== undefined && value !== null && typeof value !== 'number'
}

function toLogValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return toLogText(value)
    case 'bigint':
      return value.toString()
    case 'object':
      return value === null ? null : toLogObject(value, depth + 1)
    case 'function':
    case 'symbol':
      return `[${typeof value}]`
    default:
      return value
  }
}

function toLogObject(value: object, depth: number): unknown {
  if (depth > DEPTH_MAX) return '[deep]'
  if (value instanceof Error) return toErrorFields(value, depth)
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return `[${value.length} bytes]`
  if (value instanceof Map)
    return toEntries(
      [...value].map(([key, item]) => [String(key), item]),
      depth,
    )
  if (value instanceof Set) return [...value].slice(0, ITEMS_MAX).map((item) => toLogValue(item, depth))
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map((item) => toLogValue(item, depth))
  return toEntries(Object.entries(value), depth)
}

function toErrorFields(error: Error, depth: number): { [name: string]: unknown } {
  const code = error instanceof HeadwaterError ? error.code : Reflect.get(error, 'code')
  return {
    name: error.name,
    ...(code === undefined ? {} : { code: toLogValue(code, depth) }),
    message: toLogText(error.message),
    ...(error.stack === undefined ? {} : { stack: toLogText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: toLogValue(error.cause, depth) }),
  }
}

function toLogText(text: string): string {
  const bounded = text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}…` : text
  return bounded.replaceAll(PASSWORD_IN_URL, '$1:[redacted]@')
}
