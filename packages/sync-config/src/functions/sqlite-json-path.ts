import { EvaluationError } from '../values/value.ts'
import type { JsonNode } from './sqlite-json-node.ts'
import { unescapeJson } from './sqlite-json-string.ts'

/**
 * What a path leads to: `$` the whole, `.name` or `."name"` a member, `[2]` an element, `[#-1]` the last one. Undefined
 * for nothing. Throws `EvaluationError` where the path is malformed, as far as it is walked.
 */
export function findByPath(root: JsonNode, path: string): JsonNode | undefined {
  if (!path.startsWith('$')) throw badPath(path)
  let node: JsonNode | undefined = root
  let rest = path.slice(1)
  while (rest !== '' && node !== undefined) {
    const step = readStep(rest)
    if (step === undefined) throw badPath(path)
    node = step.find(node)
    rest = rest.slice(step.length)
  }
  return node
}

/** The path that the right side of `->` and `->>` stands for: a number or a name of its own, or a whole path. */
export function toPath(key: bigint | string): string {
  if (typeof key === 'bigint') return key < 0n ? `$[#${key}]` : `$[${key}]`
  if (key.startsWith('$')) return key
  if (/^\w*$/.test(key)) return `$.${key}`
  return /^\[[^]+\]$/.test(key) ? `$${key}` : `$."${key}"`
}

type Step = { readonly length: number; readonly find: (node: JsonNode) => JsonNode | undefined }

const QUOTED_NAME = /^\."((?:\\[^]|[^"\\])*)"/
const NAME = /^\.([^".[][^.[]*)/
const ELEMENT = /^\[(\d+)\]/
const ELEMENT_FROM_END = /^\[#(?:-(\d+))?\]/

function readStep(path: string): Step | undefined {
  const quoted = QUOTED_NAME.exec(path)
  const named = quoted ?? NAME.exec(path)
  if (named !== null) {
    const [matched, content = ''] = named
    const style = content.includes('\\') && quoted !== null ? 'json5' : 'plain'
    const name = unescapeJson({ kind: 'string', content, style })
    return { length: matched.length, find: (node) => findMember(node, name) }
  }
  const element = ELEMENT.exec(path)
  if (element !== null) {
    const index = Number(element[1])
    return { length: element[0].length, find: (node) => (node.kind === 'array' ? node.items[index] : undefined) }
  }
  const fromEnd = ELEMENT_FROM_END.exec(path)
  if (fromEnd === null) return undefined
  const back = Number(fromEnd[1] ?? 0)
  return {
    length: fromEnd[0].length,
    find: (node) => (node.kind === 'array' ? node.items[node.items.length - back] : undefined),
  }
}

/** The first of that name. */
function findMember(node: JsonNode, name: string): JsonNode | undefined {
  if (node.kind !== 'object') return undefined
  return node.members.find((member) => unescapeJson(member.name) === name)?.value
}

function badPath(path: string): EvaluationError {
  return new EvaluationError(`Cannot read JSON: the path ${JSON.stringify(path)} is malformed`)
}
