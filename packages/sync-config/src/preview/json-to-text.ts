import type { PostgresType, RequestValue } from '../types.ts'

/** A JSON value as Postgres prints it in a column of the type; null is NULL. */
export function jsonToText(value: RequestValue | undefined, type: PostgresType): string | null {
  if (value === null || value === undefined) return null
  if (type.kind === 'domain') return jsonToText(value, type.base)
  if (type.kind === 'base' && (type.name === 'json' || type.name === 'jsonb')) return toJson(value)
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'bigint':
      return String(value)
    case 'boolean':
      return isBoolean(type) ? String(value).charAt(0) : String(value)
    case 'object':
      if (!isArray(value)) return type.kind === 'composite' ? compositeText(value, type.members) : toJson(value)
      return type.kind === 'array' ? arrayText(value, type) : toJson(value)
  }
}

/** JSON with every digit of its integers. */
export function toJson(value: RequestValue): string {
  switch (typeof value) {
    case 'bigint':
      return String(value)
    case 'object':
      if (value === null) return 'null'
      if (isArray(value)) return `[${value.map(toJson).join(',')}]`
      return `{${Object.entries(value)
        .map(([name, member]) => `${JSON.stringify(name)}:${toJson(member)}`)
        .join(',')}}`
    default:
      return JSON.stringify(value)
  }
}

function isBoolean(type: PostgresType): boolean {
  return type.kind === 'base' && type.name === 'bool'
}

function isArray(value: object): value is readonly RequestValue[] {
  return Array.isArray(value)
}

function arrayText(values: readonly RequestValue[], type: PostgresType & { kind: 'array' }): string {
  const elements = values.map((value) => {
    if (typeof value === 'object' && value !== null && isArray(value) && !isJson(type.element))
      return arrayText(value, type)
    const text = jsonToText(value, type.element)
    return text === null ? 'NULL' : quoted(text)
  })
  return `{${elements.join(type.delimiter)}}`
}

function isJson(type: PostgresType): boolean {
  return type.kind === 'base' && (type.name === 'json' || type.name === 'jsonb')
}

function compositeText(
  value: { readonly [key: string]: RequestValue },
  members: readonly (readonly [string, PostgresType])[],
): string {
  const parts = members.map(([name, type]) => {
    const text = jsonToText(Object.hasOwn(value, name) ? value[name] : null, type)
    return text === null ? '' : quoted(text)
  })
  return `(${parts.join(',')})`
}

/** Quotes are always allowed, also where Postgres would leave them out. */
function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, (char) => `\\${char}`)}"`
}
