import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { RealSqlite } from '../evaluate/real-sqlite.test-parts.ts'
import type { SqliteValue } from '../types.ts'
import { functionsOf } from './functions.ts'

const call = functionsOf({
  times: { iso: true, fractionDigits: 6 },
  customTypes: true,
  fixedJsonExtract: true,
  engine: 'default',
})

/** Within 64 bits: beyond them SQLite has reals, and here there are integers of any size. */
const operand = fc.oneof(
  fc.constant(null),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  fc.bigInt(-70n, 70n),
  fc.double({ noNaN: true }),
  fc.double({ min: -100, max: 100, noNaN: true }),
  fc.constantFrom('', '7', ' -3x', '2.9', '-2.9', '1e3', '.5', 'x', '9223372036854775807'),
  fc.constantFrom('12', '3.5 ').map((text) => new TextEncoder().encode(text)),
)

test.each(['%', '&', '|', '<<', '>>'] as const)('%s does what it does in SQLite', (operator) => {
  const sqlite = new RealSqlite()
  fc.assert(
    fc.property(operand, operand, (a: SqliteValue, b: SqliteValue) => {
      expect({ value: call(operator)(a, b) }).toEqual(sqlite.run(`?1 ${operator} ?2`, [a, b]))
    }),
    { numRuns: 2000 },
  )
})
