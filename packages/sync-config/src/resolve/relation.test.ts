import { expect, test } from 'vitest'
import { collect, join, multiply, type Relation, TooManyRows } from './relation.ts'

function relation(name: string, count: number): Relation {
  return { columns: [`${name}.key`, name], rows: Array.from({ length: count }, (_, index) => ['"k"', `${index}`]) }
}

test.each([
  ['joined', (rowsMax: number) => join(relation('a', 4), relation('b', 5), { left: 'a.key', right: 'b.key', rowsMax })],
  ['multiplied', (rowsMax: number) => multiply(relation('a', 4), relation('b', 5), rowsMax)],
  [
    'collected',
    (rowsMax: number) => collect(['x'], { kept: ['x'], rows: Array.from({ length: 20 }, (_, i) => [`${i}`]), rowsMax }),
  ],
])('rows that are %s are at most so many', (_how, combine) => {
  expect(combine(20).rows).toHaveLength(20)
  expect(() => combine(19)).toThrow(TooManyRows)
})
