import type { LookupId, LookupKey, LookupOutputs } from './types.ts'

/** `keys`: values in canonical JSON, joined by commas. */
export function toLookupKey(id: LookupId, keys: string): LookupKey {
  return `${id}[${keys}]` as LookupKey
}

export function toLookupOutputs(outputs: string): LookupOutputs {
  return `[${outputs}]` as LookupOutputs
}

/** The values, each in canonical JSON; only text and numbers occur. */
export function splitOutputs(outputs: LookupOutputs): readonly string[] {
  const values: string[] = []
  let start = 1
  let inText = false
  for (let at = 1; at < outputs.length; at++) {
    const char = outputs[at]
    if (inText) {
      if (char === '\\') at++
      else if (char === '"') inText = false
    } else if (char === '"') {
      inText = true
    } else if (char === ',' || char === ']') {
      if (at > start) values.push(outputs.slice(start, at))
      start = at + 1
    }
  }
  return values
}
