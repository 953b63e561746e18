import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { ENVIRONMENT, mergeSettings, parseServiceOptions } from './options.ts'
import { countWorkers } from './worker-count.ts'

const GIVEN = { source: { url: 'postgres://db/app' }, syncConfig: { content: '' }, auth: { secret: 'x' } }
const EXPECTED = 'expected a whole number from 0 to 64, or auto'

test('one core is left to the main process, two are not enough for a worker, and no more are taken by themselves than eight', () => {
  expect([1, 2, 3, 4, 8, 9, 10, 192].map(countWorkers)).toEqual([0, 0, 2, 3, 7, 8, 8, 8])
})

test.each([
  ['none unless set', undefined, 0],
  ['a number as it is', 3, 3],
  ['what the machine has cores for', 'auto', countWorkers(availableParallelism())],
])('workers are %s', (_name, workers, count) => {
  expect(parseServiceOptions({ ...GIVEN, http: { workers } }).http.workers).toBe(count)
})

test.each(['Auto', 'many', '', -1, 1.5, 65, true, null])(
  'workers of %j are refused with what may be set',
  (workers) => {
    expect(() => parseServiceOptions({ ...GIVEN, http: { workers } })).toThrow(`http.workers: ${EXPECTED}`)
  },
)

test('the variable takes what the setting takes, and is named when it is wrong', () => {
  const merge = (HEADWATER_WORKERS: string) => mergeSettings({}, { HEADWATER_WORKERS }, {})
  expect(ENVIRONMENT.map(([variable]) => variable)).toContain('HEADWATER_WORKERS')
  expect([merge('auto'), merge('2')]).toEqual([{ http: { workers: 'auto' } }, { http: { workers: 2 } }])
  expect(() => merge('many')).toThrow(`HEADWATER_WORKERS, which stands for http.workers: ${EXPECTED}`)
})
