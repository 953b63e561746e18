import { expect, test } from 'vitest'
import { jsonElements, jsonElementsIfArray } from './json-elements.ts'

test('elements that no value equals are left out, and nested ones are text', () => {
  expect(jsonElements('["a", 1, 1.5, true]')).toBe('["a", 1, 1.5, true]')
  expect(jsonElements('[null, "a", [1, 2.0], {"k": null}]')).toBe(String.raw`["a","[1,2.0]","{\"k\":null}"]`)
  expect(jsonElements('[]')).toBe('[]')
  expect(jsonElements(null)).toBeNull()
})

test('what is not an array is an error, or nothing where that is asked for', () => {
  for (const text of ['{"a": 1}', '"a"', 'a', '', '[1', 5n, 1.5, new Uint8Array([91, 93])]) {
    expect(() => jsonElements(text)).toThrow('expected')
    expect(jsonElementsIfArray(text)).toBeNull()
  }
  expect(jsonElementsIfArray('[null, 1]')).toBe('[1]')
})
