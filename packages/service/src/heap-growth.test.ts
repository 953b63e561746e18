import { expect, test } from 'vitest'
import { chooseGrowthPercent } from './heap-growth.ts'

const MEBIBYTE = 1024 * 1024

test.each([
  [10, 300],
  [64, 200],
  [256, 50],
  [512, 0],
])('a heap of %i MiB may grow by %i percent', (mebibytes, percent) => {
  expect(chooseGrowthPercent(mebibytes * MEBIBYTE)).toBe(percent)
})
