import { expect, test } from 'vitest'
import { boundLog } from './bounded-log.ts'

test('of one event 200 lines are logged in a second; the next second tells how many were left out', () => {
  const lines: [string, unknown][] = []
  const write = (event: string, fields?: object): void => void lines.push([event, fields])
  let nowMs = 1_000
  const log = boundLog({ error: write, warn: write, info: write, debug: write }, 'debug', () => nowMs)
  for (let line = 0; line < 250; line++) log.info('token-refused', { line })
  log.info('stream-opened')
  expect(lines).toHaveLength(201)
  nowMs = 2_000
  log.info('token-refused', { line: 250 })
  expect(lines.slice(201)).toEqual([
    ['events-left-out', { of: 'token-refused', count: 50 }],
    ['token-refused', { line: 250 }],
  ])
})

test('of events that the level leaves out anyway, nothing is said', () => {
  const lines: string[] = []
  const write = (event: string): void => void lines.push(event)
  const silent = (): void => {}
  let nowMs = 1_000
  const log = boundLog({ error: write, warn: write, info: silent, debug: silent }, 'warn', () => nowMs)
  for (let line = 0; line < 250; line++) log.info('stream-opened')
  nowMs = 2_000
  log.info('stream-opened')
  log.warn('limit-near')
  expect(lines).toEqual(['limit-near'])
})
