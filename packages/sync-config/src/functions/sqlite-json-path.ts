import { EvaluationError } from '../values/value.ts'
import type { JsonNode } from './sqlite-json-node.ts'
import { type JsonString, unescapeJson } from './sqlite-json-string.ts'

/**
 * What a path leads to: `$` the whole, `.name` or `."name"` a member, `[2]` an element, `[#-1]` the last one. Undefined
 * for nothing. Throws `EvaluationError` where the path is malformed, as far as it is walked.
 */
export function findByPath(root: JsonNode, path: string): JsonNode | undefined {
  if (!path.startsWith('$')) throw badPath(path)
  let at: Place = { node: root, rest: path.slice(1) }
  while (at.rest !== '') {
    const next = at.rest.startsWith('[') ? toElement(at.node, at.rest) : toMember(at.node, at.rest)
    if (next === 'malformed') throw badPath(path)
    if (next === undefined) return undefined
    at = next
  }
  return at.node
}

/** The path that the right side of `->` and `->>` stands for: a number or a name of its own, or a whole path. */
export function toPath(key: bigint | string): string {
  if (typeof key === 'bigint') return key < 0n ? `$[#${key}]` : `$[${key}]`
  if (key.startsWith('$')) return key
  if (/^\w*$/.test(key)) return `$.${key}`
  return /^\[[^]+\]$/.test(key) ? `$${key}` : `$."${key}"`
}

type Place = { readonly node: JsonNode; readonly rest: string }

const NAME = /^\.([^".[][^.[]*)/

function toMember(node: JsonNode, path: string): Place | undefined | 'malformed' {
  if (path.startsWith('."')) return toQuotedMember(node, path)
  const [matched, content] = NAME.exec(path) ?? []
  if (matched === undefined || content === undefined) return 'malformed'
  const found = findMember(node, { kind: 'string', content, style: 'plain' })
  return placeOf(found, path.slice(matched.length))
}

/** `."a.b"`; escapes are those of JSON5. */
function toQuotedMember(node: JsonNode, path: string): Place | undefined | 'malformed' {
  let end = 2
  while (end < path.length && path.charAt(end) !== '"') end += path.charAt(end) === '\\' ? 2 : 1
  if (path.charAt(end) !== '"') return 'malformed'
  const content = path.slice(2, end)
  const found = findMember(node, { kind: 'string', content, style: content.includes('\\') ? 'json5' : 'plain' })
  return placeOf(found, path.slice(end + 1))
}

const ELEMENT = /^\[(\d+)\]/
const ELEMENT_FROM_END = /^\[#(?:-(\d+))?/

/** Nothing is an element of what is no array, whatever stands in the brackets. */
function toElement(node: JsonNode, path: string): Place | undefined | 'malformed' {
  if (node.kind !== 'array') return undefined
  const { items } = node
  const element = ELEMENT.exec(path)
  if (element !== null) return placeOf(items[Number(element[1])], path.slice(element[0].length))
  const fromEnd = ELEMENT_FROM_END.exec(path)
  if (fromEnd === null) return 'malformed'
  const index = items.length - Number(fromEnd[1] ?? 0)
  if (index < 0) return undefined
  const rest = path.slice(fromEnd[0].length)
  return rest.startsWith(']') ? placeOf(items[index], rest.slice(1)) : 'malformed'
}

function placeOf(node: JsonNode | undefined, rest: string): Place | undefined {
  return node && { node, rest }
}

/** The first of that name. */
function findMember(node: JsonNode, name: JsonString): JsonNode | undefined {
  return node.kind === 'object' ? node.members.find((member) => isSameName(member.name, name))?.value : undefined
}

/** Names with escapes end at their first NUL. */
function isSameName(a: JsonString, b: JsonString): boolean {
  if (a.style === 'plain' && b.style === 'plain') return a.content === b.content
  return beforeNul(unescapeJson(a)) === beforeNul(unescapeJson(b))
}

function beforeNul(text: string): string {
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}

function badPath(path: string): EvaluationError {
  return new EvaluationError(`Cannot read JSON: the path ${JSON.stringify(path)} is malformed`)
}
