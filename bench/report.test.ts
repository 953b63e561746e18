import { expect, test } from 'vitest'
import { exponents, formatTable, isWithinBudget, percentile, type Figure } from './report.ts'

test('a budget may bound the ratio to the limit, the figure itself and its CPU time', () => {
  const figure = (value: number, cpuMicros = 1): Figure => ({
    name: 'n',
    value,
    unit: 'rows/s',
    cpuMicros,
    limit: { name: 'discarding', value: 100 },
    budget: { ratioMin: 0.5, valueMin: 40, cpuMicrosMax: 2 },
    verified: 'all',
  })

  expect(isWithinBudget(figure(60))).toBe(true)
  expect(isWithinBudget(figure(45))).toBe(false)
  expect(isWithinBudget(figure(60, 3))).toBe(false)
})

test('ten times the rows in ten times the time is an exponent of 1, in a hundred times the time one of 2', () => {
  const at = (series: string, size: number, ms: number): Figure => ({
    name: series,
    value: 1,
    unit: 'ms',
    scale: { series, size, ms },
    verified: 'all',
  })

  const found = exponents([at('linear', 10, 5), at('square', 10, 5), at('linear', 100, 50), at('square', 100, 500)])

  expect(found.get('linear')).toBeCloseTo(1)
  expect(found.get('square')).toBeCloseTo(2)
})

test('the table says what was missed', () => {
  const figure: Figure = { name: 'slow', value: 80, unit: 'ms', budget: { valueMax: 40 }, verified: '100 rows' }

  const table = formatTable([{ scenario: 'latency', figure }])

  expect(table.split('\n').at(-1)).toMatch(/latency +\| slow +\| 80 ms .*≤ 40 ms \| NO/)
})

test('a percentile is a value that was measured', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index)

  expect(percentile(values, 0.5)).toBe(50)
  expect(percentile(values, 0.99)).toBe(99)
  expect(percentile([7], 0.99)).toBe(7)
})
