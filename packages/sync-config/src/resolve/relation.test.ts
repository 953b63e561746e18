import { expect, test } from 'vitest'
import { shortTurns } from '../testing/turns.ts'
import { collect, join, type Making, multiply, type Relation, TooManyRows } from './relation.ts'

function relation(name: string, count: number): Relation {
  return { columns: [`${name}.key`, name], rows: Array.from({ length: count }, (_, index) => ['"k"', `${index}`]) }
}

const [A, B] = [relation('a', 4), relation('b', 5)]

test.each([
  ['joined', (making: Making) => join({ relation: A, column: 'a.key' }, { relation: B, column: 'b.key' }, making)],
  ['multiplied', (making: Making) => multiply(A, B, making)],
  [
    'collected',
    (making: Making) => collect(['x'], { kept: ['x'], rows: Array.from({ length: 20 }, (_, i) => [`${i}`]) }, making),
  ],
])('rows that are %s are at most so many', async (_how, combine) => {
  const turn = shortTurns()
  expect((await combine({ rowsMax: 20, turn })).rows).toHaveLength(20)
  await expect(combine({ rowsMax: 19, turn })).rejects.toThrow(TooManyRows)
})
