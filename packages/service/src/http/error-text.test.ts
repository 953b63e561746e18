import { expect, test } from 'vitest'
import { tellCode } from './error-response.ts'
import { formatError, formatInterruption } from './error-text.ts'

test('the text of an error has its code, its description and its details', () => {
  expect(formatError(tellCode('auth-expired'))).toMatch(/^\[PSYNC_S2103\] JWT has expired\n {2}The app's/)
  expect(formatError(tellCode('shutting-down'))).toBe('[PSYNC_S2003] The service is stopping')
})

test('[protocol 85] an error that has nothing to do with the token never looks as if it had', () => {
  const text = formatError(tellCode('bad-request', 'Cannot read parameters: got "PSYNC_S2101"'))
  expect(text).toContain('[PSYNC_S2001] Validation failed')
  expect(text).not.toContain('PSYNC_S21')
})

test('a stream that broke off says so, with the cause below if it may be told', () => {
  expect(formatInterruption(tellCode('too-many-buckets', 'Too many buckets: 7'))).toBe(
    '[PSYNC_S2001] Something went wrong\n  [PSYNC_S2305] Too many buckets: 7',
  )
  expect(formatInterruption(tellCode('internal', 'secret'))).toBe('[PSYNC_S2001] Something went wrong')
})
